// One classic mistake of a CUDA kernel a run: planted_bugs NAME ascending|descending|shuffled. Prints whether
// the result is right; a sanitizer or the fiber engine may speak up before.
#include <cuda_runtime.h>

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

void missing_barrier_in_reduction_kernel(const float* x, float* d) {
  SHARED_ARRAY(float, partial, 32);
  float sum = x[threadIdx.x];
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

void misaligned_kernel(float4* d) { d[threadIdx.x].x += 1.0f; }

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
  std::vector<float> ones = std::vector<float>(128, 1.0f);
  std::vector<int> integers = std::vector<int>(64);
  unsigned arrived = 0;
};

/// True if d[i] is what `expected` says for the first `count` elements.
bool all(const std::vector<float>& d, int count, const std::function<float(int)>& expected) {
  for (int i = 0; i < count; ++i) {
    if (d[static_cast<std::size_t>(i)] != expected(i)) return false;
  }
  return true;
}

using Bug = std::function<bool(Memory&)>;  // true: the result is right

float as_float(int i) { return static_cast<float>(i); }

bool handed_over(Memory& m, bool writer_fence, bool reader_fence) {
  launch(hand_over_kernel, 16, 32, m.d.data(), &m.arrived, writer_fence, reader_fence);
  return m.d[0] == 16.0f;
}

std::map<std::string, Bug> bugs() {
  const auto one = [](int) { return 1.0f; };
  const auto partner = [](int i) { return as_float(i ^ 1); };
  const auto mirrored = [](int i) { return as_float(63 - i); };
  return {
      {"no_bug",
       [=](Memory& m) {
         launch(no_bug_kernel, 1, 64, m.d.data());
         return all(m.d, 64, mirrored);
       }},
      {"with_fences", [=](Memory& m) { return handed_over(m, true, true); }},
      {"with_syncwarp",
       [=](Memory& m) {
         launch(with_syncwarp_kernel, 1, 32, m.d.data());
         return all(m.d, 32, partner);
       }},
      {"global_overrun",
       [=](Memory& m) {
         launch(global_overrun_kernel, 1, 256, m.d.data(), 128);
         return all(m.d, 128, one);
       }},
      {"shared_overrun",
       [](Memory& m) {
         launch(shared_overrun_kernel, 1, 32, m.d.data());
         return true;
       }},
      {"missing_barrier",
       [=](Memory& m) {
         launch(missing_barrier_kernel, 1, 64, m.d.data());
         return all(m.d, 64, mirrored);
       }},
      {"missing_barrier_in_reduction",
       [=](Memory& m) {
         launch(missing_barrier_in_reduction_kernel, 1, 128, static_cast<const float*>(m.ones.data()),
                m.d.data());
         return all(m.d, 128, [](int) { return 128.0f; });
       }},
      {"reused_without_barrier",
       [=](Memory& m) {
         launch(reused_without_barrier_kernel, 1, 64, m.d.data());
         return all(m.d, 64, [](int) { return 3.0f; });
       }},
      {"divergent_barrier",
       [](Memory& m) {
         launch(divergent_barrier_kernel, 1, 64, m.d.data());
         return true;
       }},
      {"two_barriers",
       [](Memory& m) {
         launch(two_barriers_kernel, 1, 64, m.d.data());
         return true;
       }},
      {"early_exit",
       [](Memory& m) {
         launch(early_exit_kernel, 1, 64, m.d.data(), 40u);
         return true;
       }},
      {"divergent_shuffle",
       [](Memory& m) {
         launch(divergent_shuffle_kernel, 1, 32, m.d.data());
         return true;
       }},
      {"shuffle_outside_mask",
       [](Memory& m) {
         launch(shuffle_outside_mask_kernel, 1, 32, m.d.data());
         return true;
       }},
      {"mask_without_caller",
       [](Memory& m) {
         launch(mask_without_caller_kernel, 1, 32, m.d.data());
         return true;
       }},
      {"misaligned",
       [](Memory& m) {
         launch(misaligned_kernel, 1, 4, reinterpret_cast<float4*>(m.d.data() + 1));
         return true;
       }},
      {"racing_threads",
       [](Memory& m) {
         launch(racing_threads_kernel, 1, 64, m.d.data());
         return m.d[0] == 64.0f;
       }},
      {"racing_blocks",
       [](Memory& m) {
         launch(racing_blocks_kernel, 4, 32, m.d.data());
         return true;
       }},
      {"racing_threads_of_blocks",
       [](Memory& m) {
         launch(racing_threads_of_blocks_kernel, 4, 32, m.d.data());
         return true;
       }},
      {"warp_synchronous",
       [=](Memory& m) {
         launch(warp_synchronous_kernel, 1, 32, m.d.data());
         return all(m.d, 32, [](int i) { return as_float(i + (i ^ 1)); });
       }},
      {"shuffle_as_fence",
       [=](Memory& m) {
         launch(shuffle_as_fence_kernel, 1, 32, m.d.data());
         return all(m.d, 32, partner);
       }},
      {"unwritten_shared",
       [=](Memory& m) {
         launch(unwritten_shared_kernel, 1, 32, m.d.data());
         return !std::isnan(m.d[5]);
       }},
      {"unwritten_in_template",
       [=](Memory& m) {
         launch(unwritten_in_template_kernel<int>, 1, 32, m.integers.data());
         launch(unwritten_in_template_kernel<float>, 1, 32, m.d.data());
         return !std::isnan(m.d[5]) && m.integers[5] != -1;
       }},
      {"bad_shift",
       [](Memory& m) {
         launch(bad_shift_kernel, 1, 32, m.integers.data(), 8);
         return true;
       }},
      {"missing_fence_of_writer", [=](Memory& m) { return handed_over(m, false, true); }},
      {"missing_fence_of_reader", [=](Memory& m) { return handed_over(m, true, false); }},
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
