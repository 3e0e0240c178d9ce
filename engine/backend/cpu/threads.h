// How many threads the CPU backend has. oneDNN plans for a number of threads and waits for each of them for
// ever, so it must be the number that OpenMP really gives.
#pragma once

#include <filesystem>
#include <optional>

namespace convoy::cpu {

struct Threads {
  int given = 1;  // what every parallel loop has from now on
  int asked = 1;  // by OMP_NUM_THREADS, or without it the processors
};

/// Finds out how many threads OpenMP gives to the calling thread, and has it give exactly so many ever after.
/// Fewer than were asked for are given under OMP_THREAD_LIMIT, in a parallel loop of the caller's, where a
/// control group limits processors (unless OMP_NUM_THREADS is set), and where the system lets the process
/// have no more threads. OMP_DYNAMIC is switched off. Throws Error for more threads than the processors could
/// ever run.
Threads settle_threads();

/// How many processors' time the process may use by its control groups, of version 1 or 2: the least quota of
/// its own group and of those above. Nothing if there is no quota. `groups` lists the process's groups,
/// `mount` is where their file systems are.
std::optional<double> processor_quota(const std::filesystem::path& groups = "/proc/self/cgroup",
                                      const std::filesystem::path& mount = "/sys/fs/cgroup");

}  // namespace convoy::cpu
