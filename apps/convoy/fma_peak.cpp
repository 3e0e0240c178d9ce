#include "apps/convoy/fma_peak.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace convoy {
namespace {

// Two FMA units with a latency of 4 or 5 cycles need 10 independent chains to be busy. 12 chains and two
// constants fit in 16 registers.
constexpr std::size_t kChains = 12;
constexpr std::int64_t kIterations = 1'000'000;

template <std::size_t kBytes>
struct VectorOf {
  using Type [[gnu::vector_size(kBytes)]] = float;
};

template <std::size_t kBytes, std::size_t... kIndex>
[[gnu::always_inline]] inline float run_chains(std::index_sequence<kIndex...>) {
  using Vector = typename VectorOf<kBytes>::Type;
  // x * 0.999 + 0.001 converges to 1, so there are no overflows and no denormals. The factors are volatile so
  // that the compiler computes nothing in advance.
  const volatile float factors[2] = {0.999f, 0.001f};
  const Vector factor = Vector{} + factors[0];
  const Vector term = Vector{} + factors[1];
  Vector chains[kChains] = {(Vector{} + static_cast<float>(kIndex))...};
  for (std::int64_t i = 0; i < kIterations; ++i) {
    ((chains[kIndex] = chains[kIndex] * factor + term), ...);
  }
  const Vector sum = (chains[kIndex] + ...);
  return sum[0];
}

using Chains = std::make_index_sequence<kChains>;

/// The work of one thread, and the number of floats in one of its vectors.
struct Kernel {
  const char* name;
  float (*run)();
  std::size_t lanes;
};

float run_baseline() { return run_chains<16>(Chains{}); }

#if defined(__x86_64__)

[[gnu::target("avx512f")]] float run_avx512() { return run_chains<64>(Chains{}); }
[[gnu::target("avx2,fma")]] float run_avx2() { return run_chains<32>(Chains{}); }

std::vector<Kernel> supported_kernels() {
  std::vector<Kernel> kernels = {{"SSE2", run_baseline, 4}};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    kernels.push_back({"AVX2", run_avx2, 8});
  if (__builtin_cpu_supports("avx512f")) kernels.push_back({"AVX-512", run_avx512, 16});
  return kernels;
}

#else

std::vector<Kernel> supported_kernels() { return {{"128-bit vectors", run_baseline, 4}}; }

#endif

double measure(const Kernel& kernel, int& threads) {
  double best = 0.0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    float sink = 0.0f;
    int team = 0;
#pragma omp parallel reduction(+ : sink, team)
    {
      sink += kernel.run();
      team += 1;
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    [[maybe_unused]] volatile float kept = sink;
    const double flops = 2.0 * static_cast<double>(kernel.lanes * kChains) * static_cast<double>(kIterations);
    best = std::max(best, flops * team / elapsed.count() / 1e9);
    threads = team;
  }
  return best;
}

}  // namespace

FmaPeak measure_fma_peak() {
  FmaPeak peak;
  for (const Kernel& kernel : supported_kernels()) {
    const double gflops = measure(kernel, peak.threads);
    if (gflops > peak.gflops) {
      peak.gflops = gflops;
      peak.instructions = kernel.name;
    }
  }
  return peak;
}

}  // namespace convoy
