#include "apps/convoy/flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <limits>

#include "engine/data/catalog.h"
#include "engine/model/builtin.h"

namespace convoy {

void add_data_flags(CLI::App& command, DataFlags& flags) {
  command.add_option("--dataset", flags.dataset,
                     fmt::format("Data set: {}, or idx for any four IDX files named as MNIST's",
                                 fmt::join(dataset_names(), ", ")));
  command.add_option("--data", flags.folder,
                     "Folder of the data set; without it CONVOY_DATA, then data/DATASET, then a download");
}

void add_device_flag(CLI::App& command, std::string& device) {
  command
      .add_option("--device", device,
                  "auto (CUDA if there is a usable GPU, else CPU), cuda, cpu or reference")
      ->capture_default_str();
}

void add_json_flag(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Write one JSON object a line to standard output, and nothing else there");
}

void add_model_flag(CLI::App& command, std::string& model, const std::string& otherwise) {
  command.add_option("--model", model,
                     fmt::format("Model: {}, or a FILE.json; without it {}",
                                 fmt::join(builtin_model_names(), ", "), otherwise));
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

CLI::Validator positive() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0.0;
    constexpr double kLargest = std::numeric_limits<float>::max();  // what the engine computes with
    if (CLI::detail::lexical_cast(text, value) && value > 0.0 && value <= kLargest) return "";  // no NaN
    return fmt::format("'{}' is not a finite number above 0", text);
  };
  return {check, "> 0"};
}

void set_footer(CLI::App& command, const std::string& examples) {
  command.footer("Examples:\n" + examples + "\n" + kExitCodes);
}

}  // namespace convoy
