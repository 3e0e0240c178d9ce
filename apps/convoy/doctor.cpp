// convoy doctor: lists what this build and this machine have, with advice on what is missing.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <thread>

#include "apps/convoy/commands.h"
#include "apps/convoy/doctor_cuda.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "convoy/catalog.h"
#include "convoy/device.h"
#include "engine/backend/backend.h"

namespace convoy {
namespace {

std::string threads() {
  const char* limit = std::getenv("OMP_NUM_THREADS");
  return fmt::format("{} in hardware, OMP_NUM_THREADS {}", std::thread::hardware_concurrency(),
                     limit != nullptr ? limit : "unset");
}

std::vector<Finding> data_findings() {
  std::vector<Finding> findings;
  for (const std::string_view name : dataset_names()) {
    const std::string dataset(name);
    const auto found = find_local(dataset, data_search({}));
    // find_local may find Fashion-MNIST in place of MNIST, which does not count here.
    if (found && found->dataset == dataset) {
      findings.push_back({dataset, fmt::format("{} ({})", found->folder.string(), found->how), ""});
    } else {
      // If CONVOY_DATA is set, data is looked for nowhere else.
      const std::string folder = data_search({}).environment.string();
      const std::string out = folder.empty() ? "" : fmt::format(" --out {}/{}", folder, dataset);
      findings.push_back({dataset, "not here",
                          can_fetch() ? fmt::format("run: convoy fetch {}{}", dataset, out)
                                      : "this build cannot download: name its folder in CONVOY_DATA"});
    }
  }
  return findings;
}

void print(const char* title, const std::vector<Finding>& findings, std::vector<std::string>& advice) {
  Table table({title, ""});
  table.left(1);
  for (const Finding& finding : findings) {
    table.add({"  " + finding.subject, finding.state});
    if (!finding.advice.empty()) advice.push_back(fmt::format("{}: {}", finding.subject, finding.advice));
  }
  fmt::print("{}\n", table.str());
}

int run_doctor() {
  std::vector<std::string> advice;
  print("Build",
        {{"convoy", CONVOY_VERSION, ""}, {"compiler", CONVOY_COMPILER, ""}, {"oneDNN", CONVOY_ONEDNN, ""}},
        advice);
  print("CUDA", cuda_findings(), advice);
  std::vector<Finding> backends;
  for (const BackendStatus& status : backend_statuses()) {
    backends.push_back({status.name, (status.usable ? "usable: " : "not usable: ") + status.detail, ""});
  }
  print("Backends", backends, advice);
  print("Machine", {{"threads", threads(), ""}}, advice);
  print("Data", data_findings(), advice);
  if (advice.empty()) {
    fmt::print("{}\n", green("Nothing is missing."));
  } else {
    fmt::print("{}\n", bold("Advice"));
    for (const std::string& line : advice) fmt::print("  {}\n", line);
  }
  return 0;
}

}  // namespace

Command add_doctor(CLI::App& program) {
  CLI::App& command = *program.add_subcommand(
      "doctor", "Tell versions, devices and data, and what to do about what is missing");
  set_footer(command, "  convoy doctor\n");
  return {&command, run_doctor};
}

}  // namespace convoy
