// Adam on every backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::HasSubstr;

class AdamTest : public BackendTest {};

/// Parameters, their counter and optimizer on one backend.
class PlacedAdam {
 public:
  PlacedAdam(Backend& backend, const std::vector<HostTensor>& parameters, const AdamOptions& options)
      : backend_(backend),
        arena_(place_parameters(backend, parameters)),
        counter_(backend.make_counter()),
        optimizer_(backend.make_optimizer(*arena_, *counter_, options)) {}

  void step(const std::vector<HostTensor>& gradients) {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      backend_.write(*arena_->variables()[i].grad, gradients[i].values);
    }
    counter_->increment();
    optimizer_->step();
  }

  Values parameter(std::size_t i) const { return backend_.read(*arena_->variables()[i].value); }
  StepCounter& counter() { return *counter_; }

 private:
  Backend& backend_;
  std::unique_ptr<ParameterArena> arena_;
  std::unique_ptr<StepCounter> counter_;
  std::unique_ptr<Optimizer> optimizer_;
};

TEST_P(AdamTest, TheFirstStepIsTheLearningRateByHand) {
  // Bias correction undoes both decays: the first step is lr g / (|g| + eps).
  PlacedAdam adam(backend(), {{{4}, {1, 1, 1, 1}}}, {.learning_rate = 0.25f, .epsilon = 0.5f});
  adam.step({{{4}, {0.5, -0.5, 1.5, 0}}});
  EXPECT_THAT(adam.parameter(0), RelativelyNear({0.875, 1.125, 0.8125, 1}, 4 * backend().epsilon()));
}

// w = torch.tensor([1, -2, 0.5]); torch.optim.AdamW([w], lr=float32(0.01), betas=float32((0.9, 0.999)),
// eps=float32(1e-8), weight_decay=float32(decay)) in double, where float32 rounds as AdamOptions does.
TEST_P(AdamTest, AgreesWithPyTorch) {
  const std::vector<Values> gradients = {{0.5, -1, 0}, {0.25, 2, 1e-3}, {-1, 0.5, -4}};
  const struct {
    float decay;
    Values expected;
  } cases[] = {{0.0f, {0.9827417749454421, -1.9978175475810749, 0.4989454355144546}},
               {0.1f, {0.9797740857625684, -1.991839874589623, 0.49745437628853034}}};
  for (const auto& c : cases) {
    PlacedAdam adam(backend(), {{{3}, {1, -2, 0.5}}}, {.learning_rate = 0.01f, .weight_decay = c.decay});
    for (const Values& gradient : gradients) adam.step({{{3}, gradient}});
    EXPECT_THAT(adam.parameter(0), RelativelyNear(c.expected, 4 * backend().epsilon()))
        << "decay " << c.decay;
  }
}

// A step rounds the parameter (half an epsilon of it) and the moments. Their decays remember 1 / (1 - beta)
// steps, so their errors stay below 10 and 100 roundings in 100 steps, which the quotient sees as at most 60
// epsilon of a step of the learning rate.
TEST_P(AdamTest, StaysWithTheReferenceForAHundredSteps) {
  const AdamOptions options{.learning_rate = 0.01f, .weight_decay = 0.01f};
  const std::vector<HostTensor> start = {normals({17, 3, 5, 5}, 1), normals({17}, 2), normals({1}, 3)};
  PlacedAdam actual(backend(), start, options), expected(truth(), start, options);
  double largest = 0.0;
  for (std::uint64_t step = 0; step < 100; ++step) {
    const double scale = step % 10 == 0 ? 100.0 : 1.0;  // bursts, as in training
    const std::vector<HostTensor> gradients = {normals({17, 3, 5, 5}, 100 + 3 * step, 0.0, scale),
                                               normals({17}, 101 + 3 * step), normals({1}, 102 + 3 * step)};
    actual.step(gradients);
    expected.step(gradients);
    for (const double p : expected.parameter(0)) largest = std::max(largest, std::abs(p));
  }
  const double allowed = 100 * backend().epsilon() * (0.5 * largest + 60 * options.learning_rate);
  for (std::size_t i = 0; i < start.size(); ++i) {
    EXPECT_THAT(actual.parameter(i), Near(expected.parameter(i), allowed)) << "tensor " << i;
  }
}

TEST_P(AdamTest, ReadsTheCounterAndDoesNotCountItself) {
  const AdamOptions options{.learning_rate = 0.5f, .epsilon = 0.0f};
  PlacedAdam adam(backend(), {{{1}, {0}}}, options);
  adam.counter().write(999);
  adam.step({{{1}, {1}}});
  EXPECT_EQ(adam.counter().read(), 1000);
  const double beta1 = options.beta1, beta2 = options.beta2;
  const double expected = -0.5 * ((1 - beta1) / (1 - std::pow(beta1, 1000))) /
                          std::sqrt((1 - beta2) / (1 - std::pow(beta2, 1000)));
  // 1 - beta2 in float is off by less than an epsilon of beta2, a thousand of itself: half of that in a root.
  EXPECT_THAT(adam.parameter(0), RelativelyNear({expected}, 500 * backend().epsilon()));
}

TEST_P(AdamTest, NeedsGradients) {
  const auto arena = place_parameters(backend(), {zeros({3})}, false);
  const auto counter = backend().make_counter();
  EXPECT_THAT(usage_error([&] { backend().make_optimizer(*arena, *counter, AdamOptions{}); }),
              HasSubstr("gradients"));
}

INSTANTIATE_TEST_SUITE_P(, AdamTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
