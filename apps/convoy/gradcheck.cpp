// convoy gradcheck: checks the gradients on every device.
#include "engine/train/gradcheck.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "apps/convoy/commands.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "convoy/device.h"
#include "engine/backend/backend.h"

namespace convoy {
namespace {

struct GradcheckFlags {
  DeviceFlags device;  // an empty name means all devices
  bool json = false;
};

/// The names of the backends to check.
std::vector<std::string> devices(const GradcheckFlags& flags) {
  const std::string& device = flags.device.device;
  if (device == "auto") return {make_backend(device).backend->name()};
  if (!device.empty()) return {device};
  std::vector<std::string> names;
  for (const BackendStatus& status : backend_statuses()) {
    if (status.usable) names.push_back(status.name);
  }
  return names;
}

/// If all backends are checked, CUDA's flags apply to CUDA alone, and the precision to those that know it.
/// They are refused if there is none.
BackendChoice make(const std::string& name, const GradcheckFlags& flags, bool cuda_is_among_all) {
  DeviceFlags device = flags.device;
  device.device = name;
  std::optional<Precision>& precision = device.options.precision;
  if (cuda_is_among_all && name != "cuda") {
    device.cuda_flags.clear();
    if (precision == Precision::tf32) precision.reset();
  }
  if (flags.device.device.empty() && name == "reference" && precision == Precision::bf16) precision.reset();
  if (!precision) precision = Precision::fp32;  // what shows a wrong gradient best
  return make_backend(device);
}

int run_gradcheck(const GradcheckFlags& flags) {
  Table table({"case", "backend", "worst tensor", "error", "tolerance", ""});
  for (const std::size_t column : {1, 2, 5}) table.left(column);
  int checks = 0, failures = 0;
  const auto record = [&](const GradcheckResult& result) {
    ++checks;
    if (!result.passed()) ++failures;
    if (flags.json) {
      emit({{"event", "gradcheck"},
            {"case", result.name},
            {"backend", result.backend},
            {"worst", result.worst},
            {"error", result.error},
            {"tolerance", result.tolerance},
            {"ok", result.passed()}});
    } else {
      table.add({result.name, result.backend, result.worst, fmt::format("{:.2e}", result.error),
                 fmt::format("{:.2e}", result.tolerance), result.passed() ? "ok" : red("WRONG")});
    }
  };

  const auto names = devices(flags);
  std::vector<BackendChoice> backends;
  const bool cuda_is_among_all =
      flags.device.device.empty() && std::find(names.begin(), names.end(), "cuda") != names.end();
  for (const std::string& name : names) backends.push_back(make(name, flags, cuda_is_among_all));
  // Finite differences are computed on the reference.
  const bool differences = std::find(names.begin(), names.end(), "reference") != names.end();
  for (const GradcheckCase& c : gradcheck_cases()) {
    if (differences) record(check_against_differences(c));
    for (const BackendChoice& choice : backends) record(check_against_reference(c, *choice.backend));
  }
  for (const BackendChoice& choice : backends) report_plans(flags.device, *choice.backend);
  if (!flags.json) {
    put(fmt::format("{}\n{}\n", table.str(),
                    failures == 0 ? green(fmt::format("All {} checks passed.", checks))
                                  : red(fmt::format("{} of {} checks failed.", failures, checks))));
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace

Command add_gradcheck(CLI::App& program) {
  const auto flags = std::make_shared<GradcheckFlags>();
  CLI::App& command = *program.add_subcommand(
      "gradcheck", "Check the gradients: finite differences in double, and every device against that");
  add_device_flags(command, flags->device);
  flags->device.device.clear();
  command.get_option("--device")
      ->description("cuda, cpu, reference or auto; without it every one present")
      ->default_str("");
  command.get_option("--precision")
      ->description(
          "fp32 (without it; strict), bf16, or on a GPU tf32; of all devices it is for those that know it");
  add_json_flag(command, flags->json);
  set_footer(command,
             "  convoy gradcheck\n"
             "  convoy gradcheck --device cpu --json\n\n"
             "The exit code is 1 if a gradient is wrong.\n");
  return {&command, [flags] { return run_gradcheck(*flags); }};
}

}  // namespace convoy
