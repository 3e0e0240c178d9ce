#include "apps/convoy/fma_peak.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "apps/convoy/fma_peak.cpp"
#include <fmt/format.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace convoy::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Two FMA units with a latency of 4 or 5 cycles need 10 independent chains to be busy. 12 chains and two
// constants fit in 16 registers.
constexpr std::size_t kChains = 12;
constexpr std::int64_t kIterations = 1'000'000;

/// The work of one thread, in the widest registers of the target. Returns its operations, and a value that
/// depends on all of them in `sink`.
double run_chains(float& sink) {
  const hn::ScalableTag<float> d;
  // x * 0.999 + 0.001 converges to 1, so there are no overflows and no denormals. The factors are volatile so
  // that the compiler computes nothing in advance.
  const volatile float factors[2] = {0.999f, 0.001f};
  const auto factor = hn::Set(d, factors[0]);
  const auto term = hn::Set(d, factors[1]);
  hn::Vec<decltype(d)> chains[kChains];
  for (std::size_t c = 0; c < kChains; ++c) chains[c] = hn::Set(d, static_cast<float>(c));
  for (std::int64_t i = 0; i < kIterations; ++i) {
    for (auto& chain : chains) chain = hn::MulAdd(chain, factor, term);
  }
  for (std::size_t c = 1; c < kChains; ++c) chains[0] = hn::Add(chains[0], chains[c]);
  sink = hn::GetLane(chains[0]);
  return 2.0 * static_cast<double>(hn::Lanes(d) * kChains) * static_cast<double>(kIterations);
}

std::string instructions() {
  return fmt::format("{}, {}-bit registers", hwy::TargetName(HWY_TARGET),
                     32 * hn::Lanes(hn::ScalableTag<float>()));
}

}  // namespace convoy::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy {

HWY_EXPORT(run_chains);
HWY_EXPORT(instructions);

std::optional<FmaPeak> measure_fma_peak() {
  FmaPeak peak{.instructions = HWY_DYNAMIC_DISPATCH(instructions)()};
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    double operations = 0.0;
    float sink = 0.0f;
    int threads = 0;
#pragma omp parallel reduction(+ : operations, sink, threads)
    {
      float value = 0.0f;
      operations += HWY_DYNAMIC_DISPATCH(run_chains)(value);
      sink += value;
      threads += 1;
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    [[maybe_unused]] const volatile float kept = sink;
    peak.gflops = std::max(peak.gflops, operations / elapsed.count() / 1e9);
    peak.threads = threads;
  }
  return peak;
}

}  // namespace convoy
#endif
