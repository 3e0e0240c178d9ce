#include "apps/convoy/augmentation_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "apps/convoy/flags.h"

namespace convoy {

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
  command.add_flag("--flip", options.flip, "Flip training images left to right, each with probability 1/2");
}

Json describe(const AugmentationOptions& options) {
  return {{"shift", options.max_shift}, {"flip", options.flip}};
}

}  // namespace convoy
