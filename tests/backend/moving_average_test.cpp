// The exponential moving average of weights and running statistics on every backend.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::StartsWith;

/// Parameters, statistics and their averages on one backend.
class MovingAverageTest : public BackendTest {
 protected:
  void make(const std::vector<HostTensor>& parameters, const std::vector<HostTensor>& statistics,
            double decay) {
    parameters_ = place_parameters(backend(), parameters, false);
    statistics_ = place_parameters(backend(), statistics, false);
    counter_ = backend().make_counter();
    average_ = backend().make_moving_average(*parameters_, *statistics_, *counter_, decay);
  }

  void step(const std::vector<Values>& parameters, const std::vector<Values>& statistics) {
    counter_->advance();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      backend().write(*parameters_->variables()[i].value, parameters[i]);
    }
    for (std::size_t i = 0; i < statistics.size(); ++i) {
      backend().write(*statistics_->variables()[i].value, statistics[i]);
    }
    average_->update();
  }

  Values mean(std::size_t i) { return backend().read(*average_->means()[i]); }
  Values parameter(std::size_t i) { return backend().read(*parameters_->variables()[i].value); }
  Values statistic(std::size_t i) { return backend().read(*statistics_->variables()[i].value); }

  std::unique_ptr<ParameterArena> parameters_, statistics_;
  std::unique_ptr<StepCounter> counter_;
  std::unique_ptr<MovingAverage> average_;
};

// torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) in
// double (PyTorch 2.15), whose weight is below and above a half.
TEST_P(MovingAverageTest, AgreesWithPyTorch) {
  const struct {
    double decay;
    Values parameter, statistic;
  } cases[] = {{0.9, {0.8805, -1.169, 0.46475}, {1.85025, -0.5285}},
               {0.25, {0.5546875, 1.234375, -0.35546875}, {2.3515625, -0.7421875}}};
  for (const auto& c : cases) {
    make({zeros({3})}, {zeros({2})}, c.decay);
    step({{1, -2, 0.5}}, {{2, -1}});
    EXPECT_THAT(mean(0), Exactly({1, -2, 0.5})) << "the first is the mean itself";
    step({{1.5, -1, 0.25}}, {{1, 0.5}});
    step({{-0.5, 3, 2}}, {{0.125, 4}});
    step({{0.75, 1, -1}}, {{3, -2}});
    // Three steps of a difference of at most 6, rounded twice each.
    EXPECT_THAT(mean(0), RelativelyNear(c.parameter, 12 * backend().epsilon()));
    EXPECT_THAT(mean(1), RelativelyNear(c.statistic, 12 * backend().epsilon()));
    EXPECT_THAT(parameter(0), Exactly({0.75, 1, -1})) << "to average changes nothing";
  }
}

TEST_P(MovingAverageTest, SwapsAndSwapsBackToTheBit) {
  const std::vector<HostTensor> parameters = {normals({17, 3, 3, 3}, 1), normals({5}, 2), normals({6000}, 3)};
  make(parameters, {normals({7}, 4)}, 0.99);
  for (std::uint64_t i = 0; i < 3; ++i) {
    step({normals({17, 3, 3, 3}, 10 + i).values, normals({5}, 20 + i).values, normals({6000}, 30 + i).values},
         {normals({7}, 40 + i).values});
  }
  std::vector<Values> values, means;
  for (std::size_t i = 0; i < 4; ++i) {
    values.push_back(i < 3 ? parameter(i) : statistic(0));
    means.push_back(mean(i));
  }
  for (const bool swapped : {true, false}) {
    average_->swap();
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(i < 3 ? parameter(i) : statistic(0), swapped ? means[i] : values[i]);
      EXPECT_EQ(mean(i), swapped ? values[i] : means[i]);
    }
  }
}

// A recorded step finds out by the counter that it is the first, wherever an average begins.
TEST_P(MovingAverageTest, ARecordedStepBeginsWhereItWasTold) {
  make({zeros({2})}, {}, 0.5);
  const auto recorded = backend().record([&] {
    counter_->advance();
    average_->update();
  });
  const auto run = [&](const Values& values) {
    backend().write(*parameters_->variables()[0].value, values);
    recorded->run(1);
    return mean(0);
  };
  EXPECT_THAT(run({4, 8}), Exactly({4, 8}));
  EXPECT_THAT(run({2, 0}), Exactly({3, 4}));
  average_->begin_behind(counter_->read());
  EXPECT_EQ(average_->begun(), 2);
  EXPECT_THAT(run({16, 1}), Exactly({16, 1}));
  EXPECT_THAT(run({8, 2}), Exactly({12, 1.5}));
}

TEST_P(MovingAverageTest, RefusesADecayThatCannotBe) {
  for (const double decay : {0.0, 1.0, -0.5, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(usage_error([&] { make({zeros({1})}, {}, decay); }), StartsWith("moving average: decay"));
  }
}

INSTANTIATE_TEST_SUITE_P(, MovingAverageTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
