#include <algorithm>
#include <chrono>

#include "engine/backend/cpu/cpu.h"
#include "engine/backend/cpu/device.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy {

double measure_bf16_peak() {
  using namespace cpu;
  constexpr std::int64_t kSide = 1024;
  constexpr double kOperations = 2.0 * kSide * kSide * kSide;
  Device device;
  const Layout any = any_layout({kSide, kSide}, DataType::bf16);
  WeightedSpec spec{.source = any, .weights = any, .destination = any};
  const PrimitivePlan plan =
      planned("bf16 peak", [&] { return plan_linear(device.engine(), PropKind::forward, spec); });
  const Block x(device, plan.source), weights(device, plan.weights), y(device, plan.destination);
  Task product(device, plan,
               {{DNNL_ARG_SRC, x.memory}, {DNNL_ARG_WEIGHTS, weights.memory}, {DNNL_ARG_DST, y.memory}});
  double seconds = 1e9;
  for (int repeat = 0; repeat < 40; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    product.run();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    seconds = std::min(seconds, elapsed.count());
  }
  return kOperations / seconds / 1e9;
}

}  // namespace convoy
