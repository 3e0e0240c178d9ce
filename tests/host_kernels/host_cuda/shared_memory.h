// The shared memory of the block that runs: one buffer of the exact size for each array, so that ASan sees an
// overrun, filled with NaN at every block's start, so that a read before a write shows in the result.
#pragma once

#include <cstddef>
#include <vector>

namespace host_cuda {

class SharedMemory {
 public:
  /// Room for `arrays` in the tables of every launch, so that none is made inside a fiber.
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// The array `key` of the running block, made at its first use.
  void* array(const void* key, std::size_t bytes);
  void begin_block();
  void end_launch();

 private:
  struct Array {
    const void* key;
    std::size_t bytes;
    char* data;
  };
  char* allocate(std::size_t bytes);

  std::vector<Array> arrays_;
  char* arena_ = nullptr;  // under TSan
  std::size_t used_ = 0;
};

}  // namespace host_cuda
