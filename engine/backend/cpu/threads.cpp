// How OpenMP's threads are placed and how they wait: see prepare_cpu_threads.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "engine/backend/cpu/cpu.h"

namespace convoy {
namespace {

// With any of these the user has decided. Fewer threads than processors must not be bound either: a second
// such run would bind its threads to the same processors.
constexpr std::array kDecisions = {"OMP_NUM_THREADS", "OMP_PROC_BIND",     "OMP_PLACES",
                                   "OMP_WAIT_POLICY", "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT"};

}  // namespace

void prepare_cpu_threads(char** argv) {
  if (std::ranges::any_of(kDecisions, [](const char* name) { return std::getenv(name) != nullptr; })) return;
  // Longer than the gaps between the parallel loops of a step, far shorter than the default.
  if (setenv("OMP_PROC_BIND", "true", 1) != 0 || setenv("GOMP_SPINCOUNT", "10000", 1) != 0) return;
  // By its own name, which is what ps and profilers show. Returns only if it failed; then the program goes on
  // unbound.
  std::error_code unknown;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (!unknown) execv(program.c_str(), argv);
}

}  // namespace convoy
