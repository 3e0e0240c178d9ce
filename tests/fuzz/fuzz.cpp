#include "tests/fuzz/fuzz.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

// Of the sanitizers' runtimes (sanitizer/allocator_interface.h); null in a build without them.
extern "C" {
[[gnu::weak]] int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*,
                                                                                std::size_t),
                                                            void (*free_hook)(const volatile void*));
[[gnu::weak]] std::size_t __sanitizer_get_allocated_size(const volatile void* pointer);
}

namespace convoy::fuzz {
namespace {

// The targets are of one thread.
bool counting = false;
std::ptrdiff_t held = 0, most_held = 0;

void count_malloc(const volatile void* /*pointer*/, std::size_t size) {
  if (!counting) return;
  held += static_cast<std::ptrdiff_t>(size);
  most_held = std::max(most_held, held);
}

void count_free(const volatile void* pointer) {
  if (!counting || pointer == nullptr) return;
  held -= static_cast<std::ptrdiff_t>(__sanitizer_get_allocated_size(pointer));
}

bool install_hooks() {
  return __sanitizer_install_malloc_and_free_hooks != nullptr &&
         __sanitizer_install_malloc_and_free_hooks(count_malloc, count_free) != 0;
}

}  // namespace

MemoryFile::MemoryFile(std::string_view bytes) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
  require(descriptor_.get() >= 0, "a file in memory can be made");
  while (!bytes.empty()) {
    const ssize_t put = write(descriptor_.get(), bytes.data(), bytes.size());
    require(put > 0, "a file in memory can be written");
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

std::filesystem::path MemoryFile::path() const { return fmt::format("/proc/self/fd/{}", descriptor_.get()); }

std::size_t peak_memory(void (*measured)(void*), void* argument) {
  static const bool can_count = install_hooks();
  held = most_held = 0;
  counting = can_count;
  measured(argument);
  counting = false;
  return static_cast<std::size_t>(most_held);
}

}  // namespace convoy::fuzz
