// convoy doctor: lists what this build and this machine have, with advice on what is missing.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include "apps/convoy/commands.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/remedy.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "convoy/catalog.h"
#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "engine/backend/cuda/module.h"
#include "engine/parallel/mpi.h"

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
    } else if (!dataset.starts_with("emnist-")) {  // each split is one too many to miss
      // If CONVOY_DATA is set, data is looked for nowhere else.
      const std::string folder = data_search({}).environment.string();
      const std::string out = folder.empty() ? "" : fmt::format(" --out {}/{}", folder, dataset);
      findings.push_back({dataset, "not here",
                          dataset == "qmnist" ? ""
                          : can_fetch()       ? fmt::format("run: convoy fetch {}{}", dataset, out)
                                        : "this build cannot download: name its folder in CONVOY_DATA"});
    }
  }
  return findings;
}

/// CUDA's libraries, then what the backend's module, which needs them, finds.
std::vector<Finding> cuda_findings_of_all() {
  std::vector<Finding> findings;
  const auto missing = [](const CudaLibrary& library) { return !library.problem.empty(); };
  for (const CudaLibrary& library : cuda_libraries()) {
    const std::string name = library.soname.substr(0, library.soname.find('.'));  // "libcudnn"
    findings.push_back(
        {name, missing(library) ? fmt::format("{}: {}", library.soname, library.problem) : library.file,
         missing(library) ? "install " + library.need : ""});
  }
  for (Finding& finding : cuda_module().findings()) findings.push_back(std::move(finding));
  if (std::ranges::any_of(cuda_libraries(), missing)) {
    findings.push_back({"looked in", "the loader's folders and those below",
                        fmt::format("{}", fmt::join(cuda_library_places(), " "))});
  }
  return findings;
}

/// What connects several processes. A training in one needs none of it, so there is no advice.
std::vector<Finding> process_findings() {
  const std::string no_mpi = mpi_missing();
  const CudaLibrary nccl = load_nccl();
  return {{"MPI", no_mpi.empty() ? "here, for mpirun" : no_mpi, ""},
          {"NCCL", nccl.problem.empty() ? nccl.file : fmt::format("{}: {}", nccl.soname, nccl.problem), ""}};
}

/// The folders of CUDA's libraries, as LD_LIBRARY_PATH wants them.
int print_library_path() {
  std::vector<std::string> folders;
  for (const CudaLibrary& library : cuda_libraries()) {
    const std::string folder = std::filesystem::path(library.file).parent_path().string();
    if (!folder.empty() && std::ranges::find(folders, folder) == folders.end()) folders.push_back(folder);
  }
  put_for_programs(fmt::format("{}\n", fmt::join(folders, ":")));
  return 0;
}

void print(const char* title, const std::vector<Finding>& findings, std::vector<std::string>& advice) {
  Table table({title, ""});
  table.left(1);
  for (const Finding& finding : findings) {
    table.add({"  " + finding.subject, finding.state});
    if (!finding.advice.empty())
      advice.push_back(fmt::format("{}: {}{}", finding.subject, finding.advice, in_flags(finding.remedy)));
  }
  put(fmt::format("{}\n", table.str()));
}

int run_doctor() {
  std::vector<std::string> advice;
  print("Build",
        {{"convoy", CONVOY_VERSION, ""},
         {"compiler", CONVOY_COMPILER, ""},
         {"oneDNN", CONVOY_ONEDNN, ""},
         {"ONNX", CONVOY_ONNX, ""}},
        advice);
  print("CUDA", cuda_findings_of_all(), advice);
  std::vector<Finding> backends;
  for (const BackendStatus& status : backend_statuses()) {
    backends.push_back({status.name, (status.usable ? "usable: " : "not usable: ") + status.detail, ""});
  }
  print("Backends", backends, advice);
  print("Processes", process_findings(), advice);
  print("Machine", {{"threads", threads(), ""}}, advice);
  print("Data", data_findings(), advice);
  if (advice.empty()) {
    put(fmt::format("{}\n", green("Nothing is missing.")));
  } else {
    put(fmt::format("{}\n", bold("Advice")));
    for (const std::string& line : advice) put(fmt::format("  {}\n", line));
  }
  return 0;
}

}  // namespace

Command add_doctor(CLI::App& program) {
  const auto only_path = std::make_shared<bool>(false);
  CLI::App& command = *program.add_subcommand(
      "doctor", "Tell versions, devices and data, and what to do about what is missing");
  command.add_flag("--library-path", *only_path,
                   "Print the folders of CUDA's libraries alone, as LD_LIBRARY_PATH wants them");
  set_footer(command,
             "  convoy doctor\n"
             "  LD_LIBRARY_PATH=$(convoy doctor --library-path) ctest -L '^gpu$'\n");
  return {&command, [only_path] { return *only_path ? print_library_path() : run_doctor(); }};
}

}  // namespace convoy
