#include "kernels/metrics.h"

#include <algorithm>
#include <cmath>

#include "engine/core/step_table.h"
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

TEST(AdvanceStep, CountsBeyond32Bits) {
  StepScalars scalars{.step = 0xffffffff};
  const StepTable table = step_table({});
  advance_step(&scalars, &table, nullptr);
  advance_step(&scalars, &table, nullptr);
  EXPECT_EQ(scalars.step, 0x100000001);
}

// torch.optim.lr_scheduler.LinearLR's closed form, and Adam's corrections in double.
TEST(AdvanceStep, MakesTheScalarsOfAWholeWarmUp) {
  const Schedule schedule{LinearLR{.start_factor = 0.125, .total_iters = 10}};
  const StepRule rule = step_rule(AdamOptions{.learning_rate = 0.5f}, schedule);
  const double beta1 = rule.beta1, beta2 = rule.beta2;
  const StepTable table = step_table(rule);
  StepScalars scalars;
  for (int step = 1; step <= 15; ++step) {
    advance_step(&scalars, &table, nullptr);
    const double rate = 0.5 * (0.125 + 0.875 * std::min(step - 1, 10) / 10.0);
    EXPECT_EQ(scalars.step, step);
    EXPECT_FLOAT_EQ(scalars.learning_rate, static_cast<float>(rate));
    EXPECT_FLOAT_EQ(scalars.step_size, static_cast<float>(rate / (1 - std::pow(beta1, step))));
    EXPECT_FLOAT_EQ(scalars.inverse_sqrt_bias2, static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, step))));
  }
}

TEST(AdvanceStep, MakesThoseOfSgd) {
  StepScalars scalars;
  const StepTable table = step_table(step_rule(SgdOptions{.learning_rate = 0.5f, .momentum = 0.9f}));
  advance_step(&scalars, &table, nullptr);
  EXPECT_EQ(scalars, (StepScalars{1, 0.5f, 0.5f, 1.0f, 0.9f}));
}

}  // namespace
}  // namespace convoy::kernels
