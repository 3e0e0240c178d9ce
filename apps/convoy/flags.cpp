#include "apps/convoy/flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <functional>
#include <limits>

#include "convoy/builtin.h"
#include "convoy/catalog.h"

namespace convoy {

void add_data_flags(CLI::App& command, DataFlags& flags) {
  command.add_option("--dataset", flags.dataset,
                     fmt::format("Data set: {}, or idx for any four IDX files named as MNIST's",
                                 fmt::join(dataset_names(), ", ")));
  command
      .add_option("--data", flags.folder,
                  "Folder of the data set; without it CONVOY_DATA, then data/DATASET, then a download")
      ->check(not_empty());
}

void add_device_flags(CLI::App& command, DeviceFlags& flags) {
  flags.cuda.plan_cache = default_plan_cache();
  command
      .add_option("--device", flags.device,
                  "auto (CUDA if there is a usable GPU, else CPU), cuda, cpu or reference")
      ->capture_default_str();
  const auto option = [&](const char* name, const char* type, const char* help,
                          std::function<bool(const std::string&)> changes) {
    const auto take = [&flags, name, changes](const std::string& value) {
      if (changes(value)) flags.cuda_flags.push_back(fmt::format("{} {}", name, value));
    };
    return command.add_option_function<std::string>(name, take, help)->type_name(type)->group("CUDA");
  };
  const auto flag = [&](const char* name, const char* help, std::function<void(CudaOptions&)> change) {
    const auto take = [&flags, name, change] {
      change(flags.cuda);
      flags.cuda_flags.emplace_back(name);
    };
    command.add_flag_callback(name, take, help)->group("CUDA");
  };
  option(
      "--precision", "TEXT",
      "tf32 (convolutions in TF32, linear layers in fp32, as PyTorch by default; taken without the flag "
      "on GPUs of sm_80 and newer), fp32 (strict; without the flag on older ones), or bf16 (activations in "
      "bf16, parameters in fp32)",
      [&flags](const std::string& value) {
        flags.cuda.precision = value == "tf32"   ? Precision::tf32
                               : value == "bf16" ? Precision::bf16
                                                 : Precision::fp32;
        return value != "fp32";  // in which every other backend computes, too
      })
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  flag("--no-graph", "Launch the kernels of a step one by one instead of as a CUDA graph",
       [](CudaOptions& cuda) { cuda.use_cuda_graphs = false; });
  flag("--nondeterministic", "Allow algorithms whose results differ in the last bits from run to run",
       [](CudaOptions& cuda) { cuda.deterministic = false; });
  flag("--autotune",
       "Time cuDNN's plans for each operation on the GPU and keep the fastest, also in the cache",
       [](CudaOptions& cuda) { cuda.autotune = true; });
  auto* const folder = option(
      "--plan-cache", "FOLDER",
      "Where finished plans are kept for the next start; without it CONVOY_CACHE (none: nowhere), then "
      "XDG_CACHE_HOME/convoy, then ~/.cache/convoy",
      [&flags](const std::string& value) {
        flags.cuda.plan_cache = value;
        return true;
      });
  flag("--no-plan-cache", "Keep no plans and take none", [](CudaOptions& cuda) { cuda.plan_cache.clear(); });
  command.get_option("--no-plan-cache")->excludes(folder);
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
