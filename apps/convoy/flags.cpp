#include "apps/convoy/flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

#include "convoy/builtin.h"
#include "convoy/catalog.h"
#include "engine/core/lower_case.h"
#include "engine/data/pictures/picture_file.h"

namespace convoy {

void add_data_flags(CLI::App& command, DataFlags& flags) {
  command.add_option(
      "--dataset", flags.dataset,
      fmt::format("Data set: {}; or for data of one's own: idx (four IDX files named as MNIST's), pictures "
                  "(a folder for each class), csv (Kaggle's tables), npz (NumPy's arrays). train knows by "
                  "itself which of them lies in --data",
                  fmt::join(dataset_names(), ", ")));
  command
      .add_option("--data", flags.folder,
                  "Folder of the data set, or a .csv or .npz file; without it CONVOY_DATA, then "
                  "data/DATASET, then a download")
      ->check(not_empty());
}

void add_split_flags(CLI::App& command, DataFlags& flags) {
  command
      .add_option(
          "--split", flags.split,
          "Share of one's own data, of each class alike, that is held out for the test where there is no "
          "test half, as 0.2")
      ->check(share());
  command.add_option("--split-seed", flags.split_seed, "Seed of which images --split holds out")
      ->check(at_least(0))
      ->capture_default_str();
}

namespace {

constexpr auto kMostExtent = static_cast<std::int64_t>(kLongestSide);

/// "64x48" and "3x64x48" as numbers; empty for anything else.
std::vector<std::int64_t> extents_of(const std::string& text) {
  std::vector<std::int64_t> extents;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    std::int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || value < 1 || value > kMostExtent) return {};
    extents.push_back(value);
    if (next == end) break;
    if (*next != 'x') return {};
    at = next + 1;
  }
  const bool channels = extents.size() == 3 && (extents[0] == 1 || extents[0] == 3);
  return extents.size() == 2 || channels ? extents : std::vector<std::int64_t>();
}

}  // namespace

void add_picture_flags(CLI::App& command, DataFlags& flags) {
  command
      .add_option_function<std::string>(
          "--image-size",
          [&flags](const std::string& text) {
            flags.image_size = extents_of(text);
            if (flags.image_size.empty()) {
              throw CLI::ValidationError(
                  "--image-size",
                  fmt::format(
                      "'{}' is no height x width of 1 to {}, as 64x48 or, with 1 or 3 channels, 3x64x48",
                      text, kMostExtent));
            }
          },
          "What pictures are made into, or the shape of a table's rows: HxW, or CxHxW with 1 (grey) or 3 "
          "channels; without it the input of a model file, else as the data have it")
      ->option_text("[Cx]HxW");
  command.add_flag(
      "--crop", flags.crop,
      "Cut pictures to the proportions of --image-size before they are scaled; without it they are "
      "distorted");
}

void add_image_flags(CLI::App& command, ImageFlags& flags, const std::string& transpose) {
  command
      .add_option(
          "--mean", flags.mean,
          "Mean to normalise by, of pixels from 0 to 1: one, or one for each channel (0.49,0.48,0.45)")
      ->delimiter(',')
      ->check(finite());
  command.add_option("--std", flags.std, "Standard deviation to normalise by, likewise")
      ->delimiter(',')
      ->check(positive());
  auto* const yes = command.add_flag_callback(
      "--transpose", [&flags] { flags.transpose = true; }, transpose);
  command
      .add_flag_callback(
          "--no-transpose", [&flags] { flags.transpose = false; }, "Leave rows and columns as they are")
      ->excludes(yes);
}

namespace {

void add_precision_flag(CLI::App& command, DeviceFlags& flags) {
  const auto take = [&flags](const std::string& value) {
    flags.options.precision = value == "tf32"   ? Precision::tf32
                              : value == "bf16" ? Precision::bf16
                                                : Precision::fp32;
    flags.given.push_back("--precision " + value);
  };
  command
      .add_option_function<std::string>(
          "--precision", take,
          "fp32 (strict), bf16 (activations in bf16, parameters in fp32), or on a GPU tf32 (convolutions in "
          "TF32, linear layers in fp32, as PyTorch by default). Without it tf32 on GPUs of sm_80 and newer, "
          "else fp32")
      ->type_name("TEXT")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
}

void add_fuse_flag(CLI::App& command, DeviceFlags& flags) {
  const auto take = [&flags](std::int64_t value) {
    flags.options.fuse = value > 0;
    flags.given.emplace_back(value > 0 ? "--fuse" : "--no-fuse");
  };
  command.add_flag_function("--fuse,!--no-fuse", take,
                            "Make one operation of each batch norm with the ReLU and the max pool behind it, "
                            "or do not. Without it they are one; --autotune times both ways on a GPU");
}

}  // namespace

void add_device_flags(CLI::App& command, DeviceFlags& flags) {
  flags.options.plan_cache = default_plan_cache();
  command
      .add_option("--device", flags.device,
                  "auto (CUDA if there is a usable GPU, else CPU), cuda, cpu or reference")
      ->check(CLI::IsMember({"auto", "cuda", "cpu", "reference"}))
      ->capture_default_str();
  add_precision_flag(command, flags);
  add_fuse_flag(command, flags);
  const auto flag = [&](const char* name, const char* help, std::function<void(DeviceOptions&)> change) {
    const auto take = [&flags, name, change] {
      change(flags.options);
      flags.given.emplace_back(name);
      flags.cuda_flags.emplace_back(name);
    };
    command.add_flag_callback(name, take, help)->group("CUDA");
  };
  flag("--no-graph", "Launch the kernels of a step one by one instead of as a CUDA graph",
       [](DeviceOptions& options) { options.use_cuda_graphs = false; });
  flag("--nondeterministic", "Allow algorithms whose results differ in the last bits from run to run",
       [](DeviceOptions& options) { options.deterministic = false; });
  flag("--autotune",
       "Time cuDNN's plans for each operation on the GPU and keep the fastest, also in the cache",
       [](DeviceOptions& options) { options.autotune = true; });
  const auto take_folder = [&flags](const std::string& value) {
    flags.options.plan_cache = value;
    flags.given.push_back("--plan-cache " + value);
    flags.cuda_flags.push_back("--plan-cache " + value);
  };
  auto* const folder = command
                           .add_option_function<std::string>(
                               "--plan-cache", take_folder,
                               "Where finished plans are kept for the next start; without it CONVOY_CACHE "
                               "(none: nowhere), then XDG_CACHE_HOME/convoy, then ~/.cache/convoy")
                           ->type_name("FOLDER")
                           ->group("CUDA");
  flag("--no-plan-cache", "Keep no plans and take none",
       [](DeviceOptions& options) { options.plan_cache.clear(); });
  command.get_option("--no-plan-cache")->excludes(folder);
  const auto take_memory = [&flags](const std::string& text) {
    const std::int64_t bytes = bytes_of("--data-memory", text);
    flags.options.data_memory = bytes;
    flags.given.push_back(fmt::format("--data-memory {}", bytes));
    flags.cuda_flags.push_back(flags.given.back());
  };
  command
      .add_option_function<std::string>(
          "--data-memory", take_memory,
          "The most bytes of a data set's images that lie on the GPU, as 512MB or 1.5GB (1 KB is 1024 "
          "bytes). "
          "A data set with more is streamed there while it trains, to the same bits. Without it half of the "
          "memory that is free")
      ->type_name("BYTES")
      ->group("CUDA");
  command.add_flag("--verbose", flags.verbose,
                   "List on standard error what was planned: engines, notes, workspaces, own kernels");
}

void add_json_flag(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Write one JSON object a line to standard output, and nothing else there");
}

void add_model_flag(CLI::App& command, std::string& model, const std::string& otherwise) {
  command.add_option("--model", model,
                     fmt::format("Model: {}, or a FILE.json; without it {}",
                                 fmt::join(builtin_model_names(), ", "), otherwise));
}

StepsOrEpochs steps_or_epochs(const std::string& flag, const std::string& text, std::size_t most_digits) {
  std::size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits])) != 0) ++digits;
  const std::size_t unit_at = text.find_first_not_of(' ', digits);
  const std::string unit = unit_at == std::string::npos ? "steps" : text.substr(unit_at);
  const bool steps = unit == "steps" || unit == "step", epochs = unit == "epochs" || unit == "epoch";
  if (digits == 0 || digits > most_digits || (!steps && !epochs)) {
    throw CLI::ValidationError(
        flag, fmt::format("'{}' is not a number of steps or epochs, as 500, 500steps or 2epochs", text));
  }
  return {std::stoll(text.substr(0, digits)), epochs};
}

std::int64_t bytes_of(const std::string& flag, const std::string& text) {
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit = lower_case({end, text.data() + text.size()});
  unit.erase(0, unit.find_first_not_of(' '));
  if (unit.ends_with("ib")) unit.erase(unit.size() - 2, 1);  // KiB
  constexpr std::array kUnits = {"b", "kb", "mb", "gb", "tb"};
  const auto* const known = std::ranges::find(kUnits, unit.size() == 1 && unit != "b" ? unit + "b" : unit);
  const double bytes =
      unit.empty() ? number : std::ldexp(number, 10 * static_cast<int>(known - kUnits.begin()));
  constexpr double kMost = 1LL << 60;
  if (error != std::errc{} || (!unit.empty() && known == kUnits.end()) || !(bytes >= 0.0 && bytes <= kMost) ||
      (unit.empty() && bytes != std::floor(bytes))) {
    throw CLI::ValidationError(
        flag, fmt::format("'{}' is not a number of bytes, as 1000000, 512MB or 1.5GB", text));
  }
  return static_cast<std::int64_t>(bytes);
}

CLI::Validator at_least(std::int64_t least) {
  const auto check = [least](const std::string& text) -> std::string {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size() && value >= least) return "";
    return fmt::format("'{}' is not a whole number of at least {}", text, least);
  };
  return {check, fmt::format(">= {}", least)};
}

CLI::Validator not_empty() {
  return {[](const std::string& text) { return text.empty() ? std::string("it is empty") : ""; }, ""};
}

CLI::Validator finite() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0.0;
    constexpr double kLargest = std::numeric_limits<float>::max();
    if (CLI::detail::lexical_cast(text, value) && std::abs(value) <= kLargest) return "";
    return fmt::format("'{}' is not a finite number", text);
  };
  return {check, "FLOAT"};
}

CLI::Validator share() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0.0;
    if (CLI::detail::lexical_cast(text, value) && value > 0.0 && value < 1.0) return "";
    return fmt::format("'{}' is not a number between 0 and 1", text);
  };
  return {check, "0 to 1"};
}

CLI::Validator positive() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0.0;
    constexpr double kLargest = std::numeric_limits<float>::max();  // the engine computes with floats
    if (CLI::detail::lexical_cast(text, value) && value > 0.0 && value <= kLargest) return "";
    return fmt::format("'{}' is not a finite number above 0", text);
  };
  return {check, "> 0"};
}

void set_footer(CLI::App& command, const std::string& examples) {
  command.footer("Examples:\n" + examples + "\n" + kExitCodes);
}

}  // namespace convoy
