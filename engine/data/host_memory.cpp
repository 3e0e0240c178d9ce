#include "engine/data/host_memory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <limits>

namespace convoy {

std::int64_t host_memory_bytes() {
  std::int64_t bytes = ::sysconf(_SC_PHYS_PAGES);
  const std::int64_t page = ::sysconf(_SC_PAGESIZE);
  const bool known = bytes > 0 && page > 0 && !__builtin_mul_overflow(bytes, page, &bytes);
  return known ? bytes : std::numeric_limits<std::int64_t>::max();
}

void require_memory(std::int64_t bytes, const InputName& input, std::int64_t memory) {
  if (bytes <= memory) return;
  input.fail(fmt::format("needs {} bytes of memory, this machine has {}; leave some of the images out", bytes,
                         memory));
}

}  // namespace convoy
