#include "kernels/metrics.h"

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

TEST(Metrics, ResetClearsEverything) {
  LossMetrics metrics{1.5, 2.5, 3, 4, 5};
  reset_metrics(&metrics, nullptr);
  EXPECT_EQ(metrics.loss_sum, 0.0);
  EXPECT_EQ(metrics.last_loss, 0.0);
  EXPECT_EQ(metrics.correct, 0);
  EXPECT_EQ(metrics.samples, 0);
  EXPECT_EQ(metrics.arrived, 0u);
}

TEST(Metrics, TheirKernelFitsTheHost) { EXPECT_EQ(kernels_fit_this_gpu(), cudaSuccess); }

TEST(StepCounter, CountsBeyond32Bits) {
  std::int64_t step = 0xffffffff;
  increment_step(&step, nullptr);
  increment_step(&step, nullptr);
  EXPECT_EQ(step, 0x100000001);
}

}  // namespace
}  // namespace convoy::kernels
