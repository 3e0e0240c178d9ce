#include "apps/convoy/augmentation_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "apps/convoy/flags.h"

namespace convoy {
namespace {

const char* name_of(Flip flip) {
  return flip == Flip::none ? "none" : flip == Flip::random ? "random" : "alternating";
}

/// --flip, alone or with a mode. It was a switch once, so truth values stay what they were.
void add_flip_flag(CLI::App& command, Flip& flip) {
  const auto to_mode = [](std::string& text) -> std::string {
    if (text == "true") text = "random";
    if (text == "false") text = "none";
    for (const char* mode : {"random", "alternating", "none"}) {
      if (text == mode) return "";
    }
    return fmt::format("'{}' is neither random nor alternating nor none", text);
  };
  command
      .add_option_function<std::string>(
          "--flip",
          [&flip](const std::string& mode) {
            flip = mode == "none" ? Flip::none : mode == "alternating" ? Flip::alternating : Flip::random;
          },
          "Flip training images left to right: each with probability 1/2, or each in every second epoch")
      ->expected(0, 1)
      ->default_str("random")  // where it stands alone
      ->transform(CLI::Validator(to_mode, ""))
      ->option_text("[random|alternating|none]");
}

}  // namespace

void add_loss_flags(CLI::App& command, TrainOptions& options) {
  const auto below_one = [](const std::string& text) -> std::string {
    double value = 0.0;
    if (CLI::detail::lexical_cast(text, value) && value >= 0.0 && value < 1.0) return "";  // no NaN
    return fmt::format("'{}' is not a number from 0 to below 1", text);
  };
  command
      .add_option("--label-smoothing", options.label_smoothing,
                  "Spread that part of the target over all classes, as torch.nn.CrossEntropyLoss; the test's "
                  "loss is without")
      ->check(CLI::Validator(below_one, "0 <= S < 1"))
      ->option_text("S")
      ->capture_default_str();
}

void add_augmentation_flags(CLI::App& command, AugmentationOptions& options) {
  command
      .add_option("--shift", options.max_shift, "Move training images by up to PIXELS in either direction")
      ->option_text("PIXELS")
      ->check(at_least(0))
      ->capture_default_str();
  add_flip_flag(command, options.flip);
  command
      .add_option_function<std::string>(
          "--padding",
          [&options](const std::string& name) {
            options.padding = name == "reflect" ? Padding::reflect : Padding::zeros;
          },
          "What moves in: zeros, which is black, or reflect, which mirrors the image at its edge")
      ->check(CLI::IsMember({"zeros", "reflect"}))
      ->default_str("zeros");
  command
      .add_option("--cutout", options.cutout,
                  "Set a square of that side to 0 after normalisation, anywhere in each training image")
      ->option_text("PIXELS")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--rotate", options.max_rotation,
                  "Rotate training images by up to DEGREES either way, about their middle")
      ->option_text("DEGREES")
      ->capture_default_str();
  command
      .add_option("--scale", options.max_scaling,
                  "Scale training images by 1 - FRACTION to 1 + FRACTION, about their middle")
      ->option_text("FRACTION")
      ->capture_default_str();
}

void add_tta_flag(CLI::App& command, TestTimeAugmentation& augmentation) {
  command
      .add_option_function<std::string>(
          "--tta",
          [&augmentation](const std::string& views) {
            augmentation.flip = views.find("flip") != std::string::npos;
            augmentation.shift = views.find("shift") != std::string::npos;
          },
          "Test-time augmentation: take the mean of the logits of several views of each image. flip: of its "
          "mirror image, too; shift: also moved by one pixel; flip,shift: airbench's six views")
      ->check(CLI::IsMember({"none", "flip", "shift", "flip,shift", "shift,flip"}))
      ->option_text("VIEWS")
      ->default_str("none");
}

std::string in_words(const TestTimeAugmentation& augmentation) {
  if (!augmentation.flip) return augmentation.shift ? "shift" : "none";
  return augmentation.shift ? "flip,shift" : "flip";
}

Json describe(const AugmentationOptions& options) {
  return {{"shift", options.max_shift},
          {"flip", name_of(options.flip)},
          {"padding", options.padding == Padding::reflect ? "reflect" : "zeros"},
          {"cutout", options.cutout},
          {"rotate", options.max_rotation},
          {"scale", options.max_scaling}};
}

}  // namespace convoy
