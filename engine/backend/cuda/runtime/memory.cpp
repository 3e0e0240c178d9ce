#include "engine/backend/cuda/runtime/memory.h"

#include <fmt/format.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

std::atomic<std::int64_t> allocated = 0;

// By their streams. A thread that reads a copy waits for a stream of its own, which has none.
std::mutex watches_mutex;
std::map<cudaStream_t, const WaitWatch*> watches;

const WaitWatch* watch_of(cudaStream_t stream) {
  const std::lock_guard lock(watches_mutex);
  const auto found = watches.find(stream);
  return found == watches.end() ? nullptr : found->second;
}

constexpr std::chrono::microseconds kBetweenLooks(20);
constexpr std::chrono::milliseconds kBetweenChecks(50);

}  // namespace

std::int64_t allocated_bytes() { return allocated; }

CountedBytes::CountedBytes(std::size_t bytes) : bytes_(bytes) {
  allocated += static_cast<std::int64_t>(bytes);
}

CountedBytes::~CountedBytes() { allocated -= static_cast<std::int64_t>(bytes_); }

Buffer::Buffer(std::size_t bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not sticky: cleared, so that the next check does not report it again
    std::size_t free = 0;
    std::size_t total = 0;
    CONVOY_CUDA(cudaMemGetInfo(&free, &total));
    throw Error(fmt::format("out of device memory: {} bytes asked for, {} of {} free", bytes, free, total),
                Remedy::smaller_batch);
  }
  check_cuda(status, "cudaMalloc");
  memory_ = Owner<void*, cudaFree>(memory);
  bytes_ = CountedBytes(bytes);
  CONVOY_CUDA(cudaMemset(memory, 0, bytes));
  CONVOY_CUDA(cudaDeviceSynchronize());  // cudaMemset may return before it is done
}

WaitWatch::WaitWatch(cudaStream_t stream, Check check) : stream_(stream), check_(std::move(check)) {
  const std::lock_guard lock(watches_mutex);
  watches[stream] = this;
}

WaitWatch::~WaitWatch() {
  const std::lock_guard lock(watches_mutex);
  watches.erase(stream_);
}

void wait_until(const std::function<bool()>& is_done, cudaStream_t stream) {
  using Clock = std::chrono::steady_clock;
  const WaitWatch* const watching = watch_of(stream);
  const auto begin = Clock::now();
  auto next = begin + kBetweenChecks;
  while (!is_done()) {
    const auto now = Clock::now();
    if (watching != nullptr && now > next) {
      watching->check()(now - begin);
      next = now + kBetweenChecks;
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

void wait_for(cudaStream_t stream) {
  const WaitWatch* const watching = watch_of(stream);
  const auto is_done = [stream] {
    const cudaError_t status = cudaStreamQuery(stream);
    if (status == cudaErrorNotReady) return false;
    check_cuda(status, "cudaStreamQuery");
    return true;
  };
  if (watching != nullptr) wait_until(is_done, stream);
  CONVOY_CUDA(cudaStreamSynchronize(stream));
  if (watching != nullptr) watching->check()({});
}

void copy_to_device(void* device, const void* host, std::size_t bytes, cudaStream_t stream) {
  CONVOY_CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream));
  wait_for(stream);
}

void copy_to_host(void* host, const void* device, std::size_t bytes, cudaStream_t stream) {
  CONVOY_CUDA(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream));
  wait_for(stream);
}

}  // namespace convoy::cuda
