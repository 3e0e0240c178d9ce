// Device memory with one owner.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "engine/core/owner.h"

namespace convoy::cuda {

/// What all Buffers of the process hold at the moment.
std::int64_t allocated_bytes();

/// A Buffer's share of allocated_bytes().
class CountedBytes {
 public:
  CountedBytes() = default;
  explicit CountedBytes(std::size_t bytes);
  CountedBytes(CountedBytes&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}
  CountedBytes& operator=(CountedBytes&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~CountedBytes();

  std::size_t get() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

/// Zeroed device memory, aligned to 256 bytes as cudaMalloc gives it. An empty one holds a null pointer.
class Buffer {
 public:
  Buffer() = default;
  /// Allocates and zeroes, complete on return. Throws CudaError; out of memory says how much was asked for.
  explicit Buffer(std::size_t bytes);

  void* data() const { return memory_.get(); }
  template <typename T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }
  std::size_t bytes() const { return bytes_.get(); }

 private:
  Owner<void*, cudaFree> memory_;
  CountedBytes bytes_;
};

/// Returns when `stream` has done what it was given. Throws CudaError, and what a WaitWatch throws.
void wait_for(cudaStream_t stream);

/// Returns when `is_done` says so, which is asked again and again. For what waits for the stream in another
/// thread. Throws what a WaitWatch of the stream throws.
void wait_until(const std::function<bool()>& is_done, cudaStream_t stream);

/// While it lives, `check` is called with the time that has passed while the host waits for that stream, and
/// when it has waited. For work that may wait for somebody who does not come. A stream has one at most.
class WaitWatch {
 public:
  using Check = std::function<void(std::chrono::steady_clock::duration waited)>;
  WaitWatch(cudaStream_t stream, Check check);
  ~WaitWatch();
  WaitWatch(const WaitWatch&) = delete;  // wait_for knows where it is
  WaitWatch& operator=(const WaitWatch&) = delete;

  const Check& check() const { return check_; }

 private:
  cudaStream_t stream_;
  Check check_;
};

/// Blocking copies on `stream`: they return when the copy and all that was enqueued before it is done.
void copy_to_device(void* device, const void* host, std::size_t bytes, cudaStream_t stream);
void copy_to_host(void* host, const void* device, std::size_t bytes, cudaStream_t stream);

}  // namespace convoy::cuda
