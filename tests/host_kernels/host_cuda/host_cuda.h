// Runs CUDA kernel source on the host: one fiber for each CUDA thread, switched only at barriers and warp
// operations, one block after another. This is what the stand-in <cuda_runtime.h> calls and tests adjust.
#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>

namespace host_cuda {

/// Which runnable thread goes first, and in which order blocks run.
enum class Order { ascending, descending, shuffled };

/// For the launches that follow.
void set_order(Order order, unsigned seed = 1);

struct LaunchShape {
  dim3 grid;
  dim3 block;
};

/// Runs `thread` once for every CUDA thread of the launch; false for a shape that no GPU accepts. What no GPU
/// would survive (a barrier that some threads miss, a bad shuffle mask) is printed and aborts the program.
bool run(const std::function<void()>& thread, const LaunchShape& shape);

// From inside a kernel.
enum class WarpOperation { synchronise, shuffle, ballot };

void block_barrier(std::source_location site);
/// Meets the other lanes of `mask`. Returns the value of `source_lane` (shuffle), or the lanes with a value
/// (ballot).
std::uint64_t warp_operation(WarpOperation operation, std::uint32_t mask, std::uint64_t value,
                             unsigned source_lane, std::source_location site);
unsigned lane();
/// For TSan, memory passes between blocks only so: written, fence, atomic; then atomic, fence, read. The
/// atomic and its fence belong to one thread; a fence before an atomic serves that one only.
void fence();
void before_atomic(const void* address);
void after_atomic(const void* address);
void* shared_array(const void* key, std::size_t bytes);

}  // namespace host_cuda
