// One classic mistake of a CUDA kernel a run: planted_bugs NAME ascending|descending|shuffled. Prints whether
// the result is right; a sanitizer or the fiber engine may speak up before.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/shared_array.h"

namespace {

constexpr unsigned kAll = ~0u;

void no_bug_kernel(float* d) {
  SHARED_ARRAY(float, s, 64);
  s[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  d[threadIdx.x] = s[63 - threadIdx.x];
}

void global_overrun_kernel(float* d, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i <= n) d[i] = 1.0f;
}

void shared_overrun_kernel(float* d) {
  SHARED_ARRAY(float, s, 32);
  volatile float* slot = &s[0] + threadIdx.x + 1;
  *slot = 1.0f;
  __syncthreads();
  d[threadIdx.x] = s[threadIdx.x];
}

void missing_barrier_kernel(float* d) {
  SHARED_ARRAY(float, s, 64);
  s[threadIdx.x] = static_cast<float>(threadIdx.x);
  d[threadIdx.x] = s[63 - threadIdx.x];
}

void missing_barrier_in_reduction_kernel(float* d) {
  SHARED_ARRAY(float, partial, 32);
  float sum = 1.0f;
  for (int lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(kAll, sum, lanes);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  float total = 0.0f;
  for (unsigned i = 0; i < blockDim.x / 32; ++i) total += partial[i];
  d[threadIdx.x] = total;
}

void reused_without_barrier_kernel(float* d) {
  SHARED_ARRAY(float, slot, 1);
  if (threadIdx.x == 0) slot[0] = 1.0f;
  __syncthreads();
  const float first = slot[0];
  if (threadIdx.x == 0) slot[0] = 2.0f;  // the others may not have read yet
  __syncthreads();
  d[threadIdx.x] = first + slot[0];
}

// Stages that pass through shared memory, summed: with two buffers a barrier a stage will do. With one, a
// thread stores the next stage where others have yet to read this one.
void staged_kernel(float* d, int buffers) {
  SHARED_ARRAY(float, stages, 2 * 64);
  float sum = 0.0f;
  stages[threadIdx.x] = 0.0f;
  __syncthreads();
  for (int stage = 0; stage < 4; ++stage) {
    const int buffer = stage % buffers * 64;
    const int next = (stage + 1) % buffers * 64;
    sum += stages[buffer + 63 - static_cast<int>(threadIdx.x)];
    stages[next + static_cast<int>(threadIdx.x)] = static_cast<float>(stage + 1);
    __syncthreads();
  }
  d[threadIdx.x] = sum;
}

void divergent_barrier_kernel(float* d) {
  if (threadIdx.x < 32) __syncthreads();
  d[threadIdx.x] = 1.0f;
}

void two_barriers_kernel(float* d) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  d[threadIdx.x] = 1.0f;
}

void early_exit_kernel(float* d, unsigned n) {
  if (threadIdx.x >= n) return;
  __syncthreads();
  d[threadIdx.x] = 1.0f;
}

void divergent_shuffle_kernel(float* d) {
  auto value = static_cast<float>(threadIdx.x);
  if (threadIdx.x < 16) value = __shfl_xor_sync(kAll, value, 1);
  d[threadIdx.x] = value;
}

void shuffle_outside_mask_kernel(float* d) {
  if (threadIdx.x < 16) d[threadIdx.x] = __shfl_xor_sync(0xffffu, d[threadIdx.x], 16);
}

void mask_without_caller_kernel(float* d) { d[threadIdx.x] = __shfl_xor_sync(0xffffu, d[threadIdx.x], 1); }

void misaligned_kernel(float* d) { reinterpret_cast<float4*>(d + 1)[threadIdx.x].x += 1.0f; }

void racing_threads_kernel(float* d) { *d += 1.0f; }

void racing_blocks_kernel(float* d) {
  if (threadIdx.x == 0) d[0] = static_cast<float>(blockIdx.x);
}

void racing_threads_of_blocks_kernel(float* d) {
  if (threadIdx.x == blockIdx.x) d[0] = static_cast<float>(blockIdx.x);
}

void warp_synchronous_kernel(float* d) {
  SHARED_ARRAY(float, s, 32);
  s[threadIdx.x] = static_cast<float>(threadIdx.x);
  s[threadIdx.x] += s[threadIdx.x ^ 1];
  d[threadIdx.x] = s[threadIdx.x];
}

void shuffle_as_fence_kernel(float* d) {  // a shuffle orders no memory: this needs __syncwarp
  SHARED_ARRAY(float, s, 32);
  s[threadIdx.x] = static_cast<float>(threadIdx.x);
  static_cast<void>(__shfl_xor_sync(kAll, 0, 1));
  d[threadIdx.x] = s[threadIdx.x ^ 1];
}

void unwritten_shared_kernel(float* d) {
  SHARED_ARRAY(float, s, 32);
  d[threadIdx.x] = s[threadIdx.x];
}

template <typename T>
void unwritten_in_template_kernel(T* d) {
  SHARED_ARRAY(T, s, 32);
  d[threadIdx.x] = s[threadIdx.x];
}

void bad_shift_kernel(int* d, int by) { d[threadIdx.x] = 1 << (static_cast<int>(threadIdx.x) + by); }

// Each block writes its part, the last to arrive adds them up. Without either fence the parts may not have
// come through.
void hand_over_kernel(float* parts, unsigned* arrived, bool writer_fence, bool reader_fence) {
  if (threadIdx.x != 0) return;
  parts[1 + blockIdx.x] = 1.0f;
  if (writer_fence) __threadfence();
  if (atomicAdd(arrived, 1u) != gridDim.x - 1) return;
  if (reader_fence) __threadfence();
  float total = 0.0f;
  for (unsigned i = 0; i < gridDim.x; ++i) total += parts[1 + i];
  parts[0] = total;
}

// The last block to arrive writes what every block has to read: who reads it only then may find it written.
void last_block_writes_kernel(float* d, unsigned* arrived, bool read_late) {
  if (threadIdx.x != 0) return;
  if (!read_late) d[1 + blockIdx.x] = d[0];
  __threadfence();
  const bool last = atomicAdd(arrived, 1u) == gridDim.x - 1;
  __threadfence();
  if (read_late) d[1 + blockIdx.x] = d[0];
  if (last) d[0] = 1.0f;
}

void with_syncwarp_kernel(float* d) {
  SHARED_ARRAY(float, s, 32);
  s[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncwarp();
  d[threadIdx.x] = __ballot_sync(kAll, 1) == kAll ? s[threadIdx.x ^ 1] : -1.0f;
}

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  if (cudaLaunchKernelEx(&config, kernel, arguments...) != cudaSuccess) std::abort();
}

struct Memory {
  std::vector<float> d = std::vector<float>(128);
  std::vector<int> integers = std::vector<int>(64);
  unsigned arrived = 0;
};

using Bug = std::function<bool(Memory&)>;  // true: the result is right
using Expected = float (*)(int index);

float one(int) { return 1.0f; }
float mirrored(int i) { return static_cast<float>(63 - i); }
float partner(int i) { return static_cast<float>(i ^ 1); }
float sum_of_stages(int) { return 0.0f + 1.0f + 2.0f + 3.0f; }
float sum_with_partner(int i) { return static_cast<float>(i + (i ^ 1)); }

/// One block that works on m.d. Without `expected` any result will do: something else has to speak up.
template <typename... Parameters>
Bug one_block(unsigned threads, Expected expected, void (*kernel)(float*, Parameters...),
              Parameters... more) {
  return [=](Memory& m) {
    launch(kernel, 1, threads, m.d.data(), more...);
    for (unsigned i = 0; expected != nullptr && i < std::min(threads, 128u); ++i) {
      if (m.d[i] != expected(static_cast<int>(i))) return false;
    }
    return true;
  };
}

/// Four blocks of a warp each.
Bug four_blocks(void (*kernel)(float*)) {
  return [=](Memory& m) {
    launch(kernel, 4, 32, m.d.data());
    return true;
  };
}

Bug hand_over(bool writer_fence, bool reader_fence) {
  return [=](Memory& m) {
    launch(hand_over_kernel, 16, 32, m.d.data(), &m.arrived, writer_fence, reader_fence);
    return m.d[0] == 16.0f;
  };
}

Bug last_block_writes(bool read_late) {
  return [=](Memory& m) {
    launch(last_block_writes_kernel, 16, 32, m.d.data(), &m.arrived, read_late);
    return m.d[0] == 1.0f &&
           std::all_of(m.d.begin() + 1, m.d.begin() + 17, [](float v) { return v == 0.0f; });
  };
}

std::map<std::string, Bug> bugs() {
  return {
      {"no_bug", one_block(64, mirrored, no_bug_kernel)},
      {"with_fences", hand_over(true, true)},
      {"with_two_buffers", one_block(64, sum_of_stages, staged_kernel, 2)},
      {"one_buffer_for_two_stages", one_block(64, sum_of_stages, staged_kernel, 1)},
      {"with_syncwarp", one_block(32, partner, with_syncwarp_kernel)},
      {"global_overrun", one_block(256, one, global_overrun_kernel, 128)},
      {"shared_overrun", one_block(32, nullptr, shared_overrun_kernel)},
      {"missing_barrier", one_block(64, mirrored, missing_barrier_kernel)},
      {"missing_barrier_in_reduction",
       one_block(
           128, [](int) { return 128.0f; }, missing_barrier_in_reduction_kernel)},
      {"reused_without_barrier", one_block(
                                     64, [](int) { return 3.0f; }, reused_without_barrier_kernel)},
      {"divergent_barrier", one_block(64, nullptr, divergent_barrier_kernel)},
      {"two_barriers", one_block(64, nullptr, two_barriers_kernel)},
      {"early_exit", one_block(64, nullptr, early_exit_kernel, 40u)},
      {"divergent_shuffle", one_block(32, nullptr, divergent_shuffle_kernel)},
      {"shuffle_outside_mask", one_block(32, nullptr, shuffle_outside_mask_kernel)},
      {"mask_without_caller", one_block(32, nullptr, mask_without_caller_kernel)},
      {"misaligned", one_block(4, nullptr, misaligned_kernel)},
      {"racing_threads",
       [](Memory& m) {
         launch(racing_threads_kernel, 1, 64, m.d.data());
         return m.d[0] == 64.0f;
       }},
      {"racing_blocks", four_blocks(racing_blocks_kernel)},
      {"racing_threads_of_blocks", four_blocks(racing_threads_of_blocks_kernel)},
      {"warp_synchronous", one_block(32, sum_with_partner, warp_synchronous_kernel)},
      {"shuffle_as_fence", one_block(32, partner, shuffle_as_fence_kernel)},
      {"unwritten_shared",
       [](Memory& m) {
         launch(unwritten_shared_kernel, 1, 32, m.d.data());
         return !std::isnan(m.d[5]);
       }},
      {"unwritten_in_template",
       [](Memory& m) {
         launch(unwritten_in_template_kernel<int>, 1, 32, m.integers.data());
         launch(unwritten_in_template_kernel<float>, 1, 32, m.d.data());
         return !std::isnan(m.d[5]) && m.integers[5] != -1;
       }},
      {"bad_shift",
       [](Memory& m) {
         launch(bad_shift_kernel, 1, 32, m.integers.data(), 8);
         return true;
       }},
      {"read_before_arrival", last_block_writes(false)},
      {"read_after_arrival", last_block_writes(true)},
      {"missing_fence_of_writer", hand_over(false, true)},
      {"missing_fence_of_reader", hand_over(true, false)},
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto all_bugs = bugs();
  const auto bug = all_bugs.find(argv[1]);
  if (bug == all_bugs.end()) return 2;
  const std::string order = argv[2];
  host_cuda::set_order(order == "descending" ? host_cuda::Order::descending
                       : order == "shuffled" ? host_cuda::Order::shuffled
                                             : host_cuda::Order::ascending);
  Memory memory;
  std::puts(bug->second(memory) ? "right result" : "wrong result");
  return 0;
}
