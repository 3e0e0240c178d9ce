#include "tests/host_kernels/host_cuda/shared_memory.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <new>

#include "tests/host_kernels/host_cuda/sanitizer_hooks.h"

namespace host_cuda {
namespace {

constexpr std::size_t kMaxArrays = 16;
constexpr std::size_t kArenaBytes = std::size_t{512} << 20;  // reserved, not touched
constexpr char kPoison = static_cast<char>(0xff);            // four of them are a NaN

void poison(char* data, std::size_t bytes) {
  for (volatile char* p = data; p < data + bytes; ++p) *p = kPoison;  // volatile: not the instrumented memset
}

}  // namespace

SharedMemory::SharedMemory() {
  arrays_.reserve(kMaxArrays);
  if (!under_tsan()) return;
  void* memory =
      mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  arena_ = static_cast<char*>(memory);
}

SharedMemory::~SharedMemory() {
  end_launch();
  if (arena_) munmap(arena_, kArenaBytes);
}

void* SharedMemory::array(const void* key, std::size_t bytes) {
  for (const Array& array : arrays_) {
    if (array.key == key) return array.data;
  }
  if (arrays_.size() == kMaxArrays) {
    std::fprintf(stderr, "host_cuda: a block uses more than %zu shared arrays\n", kMaxArrays);
    std::abort();
  }
  arrays_.push_back({key, bytes, allocate(bytes)});
  poison(arrays_.back().data, bytes);
  return arrays_.back().data;
}

// Under TSan every block has addresses of its own: blocks are not ordered among each other, and TSan would
// take malloc() for a write by the thread that calls it.
char* SharedMemory::allocate(std::size_t bytes) {
  constexpr std::size_t kAlignment = 128;
  if (!arena_) {
    void* memory = std::malloc(bytes);
    if (!memory) std::abort();
    return static_cast<char*>(memory);
  }
  if (used_ + bytes > kArenaBytes) {
    std::fprintf(stderr, "host_cuda: one launch uses more than %zu bytes of shared memory\n", kArenaBytes);
    std::abort();
  }
  char* data = arena_ + used_;
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return data;
}

void SharedMemory::begin_block() {
  if (arena_) {
    arrays_.clear();
    return;
  }
  for (const Array& array : arrays_) poison(array.data, array.bytes);
}

void SharedMemory::end_launch() {
  if (!arena_) {
    for (const Array& array : arrays_) std::free(array.data);
  }
  arrays_.clear();
  used_ = 0;
}

}  // namespace host_cuda
