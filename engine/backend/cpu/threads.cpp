// How OpenMP's threads are placed and how they wait: see prepare_cpu_threads. And how many there are:
// threads.h.
#include "engine/backend/cpu/threads.h"

#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <limits>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "convoy/error.h"
#include "engine/backend/cpu/cpu.h"
#include "engine/parallel/launch.h"

namespace convoy {
namespace cpu {
namespace {

namespace fs = std::filesystem;

// libgomp puts what its threads start with on the stack, which some ten thousand overflow.
constexpr int kMostPerProcessor = 16, kMostAnywhere = 256;

void take_less(std::optional<double>& quota, double other) { quota = std::min(quota.value_or(other), other); }

/// A quota of version 2: "max 100000", or microseconds of processors' time in each so many.
void read_version_2(const fs::path& folder, std::optional<double>& quota) {
  double time = 0.0, period = 0.0;
  if (std::ifstream(folder / "cpu.max") >> time >> period && period > 0.0) take_less(quota, time / period);
}

/// A quota of version 1: two files, and -1 for none.
void read_version_1(const fs::path& folder, std::optional<double>& quota) {
  double time = 0.0, period = 0.0;
  std::ifstream(folder / "cpu.cfs_quota_us") >> time;
  std::ifstream(folder / "cpu.cfs_period_us") >> period;
  if (time > 0.0 && period > 0.0) take_less(quota, time / period);
}

bool is_of_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

/// Fewer than asked for where a control group stops threads that have used up their time: the others of a
/// loop would spin until it goes on. Whoever sets OMP_NUM_THREADS has decided.
int within_quota(int asked) {
  if (std::getenv("OMP_NUM_THREADS") != nullptr) return asked;
  const std::optional<double> quota = processor_quota();
  return quota && *quota < asked ? std::max(1, static_cast<int>(std::ceil(*quota))) : asked;
}

/// At most `wanted`: one more than the threads that the system lets this one start. OpenMP would end the
/// program.
int startable(int wanted) {
  std::latch all_tried(1);
  std::vector<std::jthread> threads;
  threads.reserve(static_cast<std::size_t>(wanted));
  try {
    while (static_cast<int>(threads.size()) < wanted - 1) threads.emplace_back([&] { all_tried.wait(); });
  } catch (const std::system_error&) {  // no more
  }
  all_tried.count_down();
  return 1 + static_cast<int>(threads.size());
}

}  // namespace

std::optional<double> processor_quota(const fs::path& groups, const fs::path& mount) {
  std::optional<double> quota;
  std::ifstream lines(groups);
  for (std::string line; std::getline(lines, line);) {  // "0::/user.slice" or "4:cpu,cpuacct:/docker/5f"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !is_of_cpu(controllers)) continue;
    // In a container the path may be one of the host's, which is not mounted; the group's own files are the
    // root.
    fs::path group = fs::path(line.substr(second + 1)).relative_path().lexically_normal();
    for (;; group = group.parent_path()) {
      if (controllers.empty()) {
        read_version_2(mount / group, quota);
      } else {
        read_version_1(mount / "cpu" / group, quota);
      }
      if (group.empty()) break;
    }
  }
  return quota;
}

Threads settle_threads() {
  Threads threads;
  threads.asked = omp_get_max_threads();
  if (threads.asked < 1)
    threads.asked = std::numeric_limits<int>::max();  // as libgomp counts what is still more
  const int wanted = within_quota(std::min(threads.asked, omp_get_thread_limit()));
  const int processors = omp_get_num_procs();
  if (wanted > std::max(kMostAnywhere, kMostPerProcessor * processors)) {
    throw Error(fmt::format(
        "cpu: {} threads were asked for and there are {} processors; set OMP_NUM_THREADS to {} or less",
        wanted, processors, processors));
  }
  omp_set_dynamic(0);
  int given = 1;
#pragma omp parallel num_threads(startable(wanted))
#pragma omp single
  given = omp_get_num_threads();
  omp_set_num_threads(given);
  threads.given = given;
  return threads;
}

}  // namespace cpu

namespace {

// With any of these the user has decided. Fewer threads than processors must not be bound either: a second
// such run would bind its threads to the same processors.
constexpr std::array kDecisions = {"OMP_NUM_THREADS",  "OMP_PROC_BIND",   "OMP_PLACES",
                                   "OMP_THREAD_LIMIT", "OMP_WAIT_POLICY", "GOMP_CPU_AFFINITY",
                                   "GOMP_SPINCOUNT"};

bool all_processors_are_ours() {
  const std::optional<double> quota = cpu::processor_quota();
  return !quota || *quota >= omp_get_num_procs();
}

/// Of this machine, started together; this one, too.
int local_processes() {
  try {
    return launch_of([](const char* name) { return std::getenv(name); }).place.local_size;
  } catch (const Error&) {  // who joins the group tells of it
    return 1;
  }
}

}  // namespace

void prepare_cpu_threads(char** argv) {
  if (std::ranges::any_of(kDecisions, [](const char* name) { return std::getenv(name) != nullptr; })) return;
  if (const int processes = local_processes(); processes > 1) {
    // Each its part, and no thread bound where another process's might be. A launcher that binds processes
    // has left fewer than the machine's.
    const long share = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN) / processes);
    const int threads = std::min(omp_get_num_procs(), static_cast<int>(share));
    if (setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 1) != 0) return;
  }
  // Longer than the gaps between the parallel loops of a step, far shorter than the default.
  if (setenv("GOMP_SPINCOUNT", "10000", 1) != 0) return;
  if (local_processes() == 1 && all_processors_are_ours() && setenv("OMP_PROC_BIND", "true", 1) != 0) return;
  // By its own name, which is what ps and profilers show. Returns only if it failed; then the program goes on
  // unbound.
  std::error_code unknown;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (!unknown) execv(program.c_str(), argv);
}

}  // namespace convoy
