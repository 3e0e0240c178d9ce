#include "engine/data/host_memory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>

namespace convoy {
namespace {

std::int64_t physical_memory() {
  std::int64_t bytes = ::sysconf(_SC_PHYS_PAGES);
  const std::int64_t page = ::sysconf(_SC_PAGESIZE);
  const bool known = bytes > 0 && page > 0 && !__builtin_mul_overflow(bytes, page, &bytes);
  return known ? bytes : std::numeric_limits<std::int64_t>::max();
}

}  // namespace

std::int64_t usable_memory(std::int64_t physical, std::span<const std::filesystem::path> limits) {
  std::int64_t least = physical;
  for (const std::filesystem::path& file : limits) {
    std::int64_t limit = 0;
    if (std::ifstream(file) >> limit && limit > 0) least = std::min(least, limit);
  }
  return least;
}

std::int64_t host_memory_bytes() {
  const std::array<std::filesystem::path, 2> limits = {
      "/sys/fs/cgroup/memory.max",                     // version 2
      "/sys/fs/cgroup/memory/memory.limit_in_bytes"};  // version 1
  return usable_memory(physical_memory(), limits) / 2;
}

void require_memory(std::int64_t bytes, const InputName& input, std::int64_t memory) {
  if (bytes <= memory) return;
  input.fail(fmt::format(
      "needs {} bytes of memory, a data set may take {} here; leave some of the images out", bytes, memory));
}

}  // namespace convoy
