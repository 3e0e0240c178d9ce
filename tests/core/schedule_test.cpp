// What a schedule may be, what its table holds, and the arithmetic that reads it. The values are PyTorch's in
// tests/golden/schedules_parity_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "convoy/error.h"
#include "engine/core/step_table.h"
#include "kernels/schedule_math.h"

namespace convoy {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr auto kEpoch = Schedule::Interval::epoch;
const SgdOptions kSgd{.learning_rate = 1.0f, .momentum = 0.5f};

std::string refusal(const Schedule& schedule, const TrainingLength& length = {10, 100},
                    const OptimizerOptions& optimizer = kSgd) {
  try {
    step_table(step_rule(optimizer, schedule, length));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

std::vector<double> rates(const Schedule& schedule, const TrainingLength& length, std::int64_t steps) {
  const StepTable table = step_table(step_rule(kSgd, schedule, length));
  std::vector<double> all;
  for (std::int64_t step = 1; step <= steps; ++step) all.push_back(step_rates(table, step).learning_rate);
  return all;
}

TEST(Schedule, IsConstantWithoutAnything) {
  EXPECT_TRUE(is_constant({}));
  EXPECT_FALSE(is_constant({ConstantLR{}}));
  EXPECT_FALSE(is_constant({CosineAnnealingLR{}}));
  EXPECT_THAT(rates({}, {}, 3), ElementsAre(1.0, 1.0, 1.0));
}

TEST(Schedule, ParametersOutOfRangeAreRefused) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(refusal({ConstantLR{.factor = 1.5}}), StartsWith("ConstantLR: factor 1.5 is not from 0 to 1"));
  EXPECT_THAT(refusal({ConstantLR{.total_iters = -1}}), StartsWith("ConstantLR: total_iters -1"));
  for (const double factor : {0.0, 1.5, kNan}) {
    EXPECT_THAT(refusal({LinearLR{.start_factor = factor}}), StartsWith("LinearLR: start_factor"));
  }
  EXPECT_THAT(refusal({LinearLR{.end_factor = -0.5}}), HasSubstr("end_factor -0.5 is not from 0"));
  EXPECT_THAT(refusal({StepLR{}}), StartsWith("StepLR: step_size 0 is not a positive number"));
  EXPECT_THAT(refusal({StepLR{.step_size = 3, .gamma = 0.0}}), StartsWith("StepLR: gamma 0"));
  EXPECT_THAT(refusal({MultiStepLR{{0, 3}}}), StartsWith("MultiStepLR: milestone 0"));
  EXPECT_THAT(refusal({MultiStepLR{{3, 2}}}), HasSubstr("milestones 3, 2 are not in ascending order"));
  EXPECT_THAT(refusal({ExponentialLR{}}), StartsWith("ExponentialLR: gamma 0"));
  EXPECT_THAT(refusal({CosineAnnealingLR{.eta_min = kNan}}), StartsWith("CosineAnnealingLR: eta_min nan"));
  EXPECT_THAT(refusal({OneCycleLR{.pct_start = 1.5}}), StartsWith("OneCycleLR: pct_start 1.5"));
  EXPECT_THAT(refusal({OneCycleLR{.pct_start = 0.6, .three_phase = true}}), HasSubstr("at most 0.5"));
  EXPECT_THAT(refusal({OneCycleLR{.div_factor = 0}}), StartsWith("OneCycleLR: div_factor 0"));
  EXPECT_THAT(refusal({OneCycleLR{.final_div_factor = -1}}), StartsWith("OneCycleLR: final_div_factor -1"));
  EXPECT_THAT(refusal({OneCycleLR{.max_momentum = 1}}), StartsWith("OneCycleLR: max_momentum 1"));
  EXPECT_THAT(refusal({OneCycleLR{.total_steps = std::int64_t{1} << 40}}), HasSubstr("total_steps"));
}

TEST(Schedule, OnlyAMomentumCanBeCycled) {
  const SgdOptions plain{.learning_rate = 1.0f};
  EXPECT_THAT(refusal({OneCycleLR{}}, {10, 100}, plain), HasSubstr("this SGD has none"));
  EXPECT_EQ(refusal({OneCycleLR{.cycle_momentum = false}}, {10, 100}, plain), "");
  EXPECT_EQ(refusal({OneCycleLR{}}, {10, 100}, AdamOptions{}), "");
}

TEST(Schedule, SequencesThatCannotBeAreRefused) {
  const Schedule linear{LinearLR{}};
  EXPECT_THAT(refusal({SequentialLR{}}), HasSubstr("0 schedulers with 0 milestones"));
  EXPECT_THAT(refusal({SequentialLR{{linear}, {3}}}), HasSubstr("1 schedulers with 1 milestones"));
  EXPECT_THAT(refusal({SequentialLR{{linear, linear, linear}, {3, 3}}}), HasSubstr("3, 3 are not positive"));
  EXPECT_THAT(refusal({SequentialLR{{linear, {SequentialLR{}}}, {3}}}), HasSubstr("write them as one"));
  EXPECT_THAT(refusal({SequentialLR{{{OneCycleLR{}}, {OneCycleLR{}}}, {3}}}), HasSubstr("more than one"));
  EXPECT_THAT(refusal({SequentialLR{{linear, {StepLR{}}}, {3}}}), HasSubstr("step_size"));
  EXPECT_THAT(refusal({SequentialLR{{{OneCycleLR{.total_steps = 4}}, linear}, {3}}}),
              HasSubstr("ends after step 4, and the next scheduler begins after step 3"));
}

TEST(Schedule, LengthsMustBeKnownAndFit) {
  EXPECT_THAT(refusal({CosineAnnealingLR{}}, {}), AllOf(HasSubstr("T_max 0"), HasSubstr("total_steps")));
  EXPECT_THAT(refusal({OneCycleLR{}}, {}), HasSubstr("total_steps 0"));
  EXPECT_THAT(refusal({StepLR{.step_size = 1}, kEpoch}, {0, 100}), HasSubstr("give steps_per_epoch"));
  EXPECT_THAT(refusal({StepLR{.step_size = 1}, kEpoch}, {-1, 100}), HasSubstr("-1 in an epoch"));
  EXPECT_THAT(refusal({SequentialLR{{{LinearLR{}}, {CosineAnnealingLR{}}}, {10}}, kEpoch}),
              HasSubstr("begins behind 100 steps and the training has 100"));
  EXPECT_THAT(refusal({OneCycleLR{.total_steps = 99}}), HasSubstr("after step 99, and the training has 100"));
  EXPECT_EQ(refusal({OneCycleLR{.total_steps = 10}, kEpoch}), "");
  EXPECT_EQ(last_step(step_rule(kSgd, {OneCycleLR{.total_steps = 12}, kEpoch}, {10, 0})), 120);
  EXPECT_EQ(last_step(step_rule(kSgd, {LinearLR{}})), 0);
}

TEST(Schedule, HasRoomForManyMilestonesButNotForAny) {
  MultiStepLR many{.milestones = {}, .gamma = 0.5};
  for (std::int64_t milestone = 1; milestone < kMaxSegments; ++milestone)
    many.milestones.push_back(milestone);
  EXPECT_THAT(rates({many}, {}, kMaxSegments).back(), std::pow(0.5, kMaxSegments - 1));
  many.milestones.push_back(kMaxSegments);
  EXPECT_THAT(refusal({many}), HasSubstr("more than 64 times"));
}

// PyTorch has no scheduler that is stepped by another interval than its neighbour.
TEST(Schedule, AWarmUpByStepsGoesBeforeASchedulerByEpochs) {
  const SequentialLR sequence{{{LinearLR{0.5, 1.0, 0}}, {StepLR{.step_size = 1, .gamma = 0.5}, kEpoch}}, {4}};
  EXPECT_THAT(rates({sequence}, {3, 10}, 10), ElementsAre(0.5, 0.625, 0.75, 0.875, 1, 1, 1, 0.5, 0.5, 0.5));
  const SequentialLR by_epochs{{{LinearLR{0.5, 1.0, 0}}, {LinearLR{1.0, 0.0, 0}}}, {2}};
  EXPECT_THAT(rates({by_epochs, kEpoch}, {2, 8}, 8),
              ElementsAre(0.5, 0.625, 0.75, 0.875, 1, 0.75, 0.5, 0.25));
}

// An epoch that the training does not finish counts.
TEST(Schedule, CountsEpochsUpwards) {
  EXPECT_THAT(
      rates({LinearLR{1.0, 0.0, 0}, kEpoch}, {3, 7}, 7),
      ElementsAre(1, 1, 1, DoubleEq(2.0 / 3), DoubleEq(2.0 / 3), DoubleEq(2.0 / 3), DoubleEq(1.0 / 3)));
}

// PyTorch divides by zero where the rise has one count.
TEST(Schedule, ARiseOfOneCountIsTheMaximum) {
  const auto all = rates({OneCycleLR{.total_steps = 10, .pct_start = 0.1}}, {}, 3);
  EXPECT_EQ(all[0], 1.0);
  EXPECT_LT(all[1], 1.0);
  EXPECT_THAT(rates({OneCycleLR{.total_steps = 1}}, {}, 1), ElementsAre(DoubleEq(1.0 / 25 / 1e4)));
}

TEST(Schedule, IsWrittenAsPyTorchWritesIt) {
  EXPECT_EQ(in_words({StepLR{.step_size = 30}, kEpoch}), "StepLR(step_size=30, gamma=0.1) by epochs");
  EXPECT_EQ(in_words({SequentialLR{{{LinearLR{0.5}}, {CosineAnnealingLR{}}}, {5}}}),
            "SequentialLR([LinearLR(start_factor=0.5, end_factor=1, total_iters=5) by steps, "
            "CosineAnnealingLR(T_max=to the end, eta_min=0) by steps], milestones=[5]) by steps");
  EXPECT_THAT(in_words({OneCycleLR{.cycle_momentum = false}}), HasSubstr("cycle_momentum=False"));
  EXPECT_NE(in_words({OneCycleLR{}}), in_words({OneCycleLR{.three_phase = true}}));
}

// Its series and its angle are rounded a few times, near pi / 2 as near 0.
TEST(ScheduleMath, CosineOfPi) {
  for (int i = 0; i <= 4000; ++i) {
    const double x = i / 1000.0;
    EXPECT_NEAR(cosine_of_pi(x), std::cos(std::numbers::pi * x), 4 * 0x1p-52 + 4e-16 * x) << x;
  }
  EXPECT_EQ(cosine_of_pi(0.0), 1.0);
  EXPECT_EQ(cosine_of_pi(0.5), 0.0);
  EXPECT_EQ(cosine_of_pi(1.0), -1.0);
}

// Squaring doubles the error, which is half a unit at each.
TEST(ScheduleMath, IntegerPower) {
  for (const double base : {0.5, 0.9, 0.999, 1.01}) {
    for (const std::int64_t exponent : {0, 1, 2, 3, 17, 1000}) {
      const double exact = std::pow(base, static_cast<double>(exponent));
      EXPECT_NEAR(integer_power(base, exponent), exact, static_cast<double>(exponent) * 0x1p-52 * exact)
          << base << "^" << exponent;
    }
  }
  EXPECT_EQ(integer_power(0.9, std::int64_t{1} << 40), 0.0);
  EXPECT_EQ(integer_power(0.0, 1), 0.0);
}

}  // namespace
}  // namespace convoy
