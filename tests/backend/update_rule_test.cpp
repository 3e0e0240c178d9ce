// What updates do beside an optimizer's arithmetic, on every backend: groups of parameters and gradient
// clipping.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class UpdateRuleTest : public BackendTest {};

constexpr ParameterGroup kDecayed = ParameterGroup::decayed, kUndecayed = ParameterGroup::undecayed,
                         kOrthogonalized = ParameterGroup::orthogonalized;

/// Parameters with all that updates them.
class Updated {
 public:
  Updated(Backend& backend, const std::vector<HostTensor>& parameters, const OptimizerOptions& options,
          const std::vector<ParameterGroup>& groups, float max_norm = 0.0f)
      : backend_(backend),
        arena_(place_parameters(backend, parameters)),
        counter_(backend.make_counter(step_rule(options))),
        clip_(max_norm > 0.0f ? backend.make_gradient_clip(*arena_, max_norm) : nullptr),
        optimizer_(backend.make_optimizer(*arena_, *counter_, options, {groups, clip_.get()})) {}

  void step(const std::vector<Values>& gradients) {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      backend_.write(*arena_->variables()[i].grad, gradients[i]);
    }
    counter_->advance();
    if (clip_) clip_->measure();
    optimizer_->step();
  }

  Values parameter(std::size_t i) const { return backend_.read(*arena_->variables()[i].value); }
  Values clip() const { return backend_.read(*clip_->result()); }
  const Optimizer& optimizer() const { return *optimizer_; }

 private:
  Backend& backend_;
  std::unique_ptr<ParameterArena> arena_;
  std::unique_ptr<StepCounter> counter_;
  std::unique_ptr<GradientClip> clip_;
  std::unique_ptr<Optimizer> optimizer_;
};

const std::vector<HostTensor> kStart = {{{3}, {1, -2, 0.5}}, {{2}, {2, -1}}};
const std::vector<std::vector<Values>> kGradients = {
    {{0.5, -1, 0}, {0.25, 1}}, {{0.25, 2, 1e-3}, {-0.5, 0.125}}, {{-1, 0.5, -4}, {2, -1}}};

// torch.optim.X([{'params': [w]}, {'params': [b], 'weight_decay': 0}], lr=float32(...), ...) in double
// (PyTorch 2.15), and torch.nn.utils.clip_grad_norm_([w, b], 2) before each of the second's steps: the first
// norm is below 2.
TEST_P(UpdateRuleTest, GroupsAndClippingAgreeWithPyTorch) {
  const AdamOptions adam{.learning_rate = 0.01f, .weight_decay = 0.1f};
  AdamOptions adamw = adam;
  adamw.decoupled_weight_decay = true;
  const SgdOptions sgd{.learning_rate = 0.05f, .momentum = 0.9f, .weight_decay = 0.1f, .nesterov = true};
  const struct {
    std::string name;
    OptimizerOptions options;
    float max_norm;
    Values decayed, undecayed;
  } cases[] = {
      {"Adam",
       adam,
       0,
       {0.9810377045513055, -1.9952577699627556, 0.48624893692659465},
       {1.9882698226616238, -1.017223340888784}},
      {"Adam, clipped",
       adam,
       2,
       {0.9766012628379996, -1.9940830822870483, 0.48605149848357604},
       {1.989588785095543, -1.0204320192125478}},
      {"AdamW",
       adamw,
       0,
       {0.9797740857625684, -1.991839874589623, 0.49745437628853034},
       {1.9882698226616238, -1.017223340888784}},
      {"AdamW, clipped",
       adamw,
       2,
       {0.9759624356245541, -1.9908585275646293, 0.49745255807790323},
       {1.989588785095543, -1.0204320192125478}},
      {"SGD",
       sgd,
       0,
       {0.9367604330392572, -2.0675146124021184, 0.8599163246508601},
       {1.8347624998116863, -1.0938874959392473}},
      {"SGD, clipped",
       sgd,
       2,
       {0.8833410181305664, -2.0297491732351007, 0.6410411704368223},
       {1.9415838871266784, -1.1479528873819096}},
  };
  const Values norms = {1.520690632574555, 2.080414862473348, 4.716990566028302};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Updated updated(backend(), kStart, c.options, {kDecayed, kUndecayed}, c.max_norm);
    for (std::size_t i = 0; i < kGradients.size(); ++i) {
      updated.step(kGradients[i]);
      if (c.max_norm == 0.0f) continue;
      const double factor = std::min(1.0, 2.0 / (norms[i] + 1e-6));
      EXPECT_THAT(updated.clip(), RelativelyNear({norms[i], factor}, 2 * backend().epsilon()));
    }
    EXPECT_THAT(updated.parameter(0), RelativelyNear(c.decayed, 6 * backend().epsilon()));
    EXPECT_THAT(updated.parameter(1), RelativelyNear(c.undecayed, 6 * backend().epsilon()));
  }
}

// What has no group of its own has the bits that it has without groups, wherever it lies.
TEST_P(UpdateRuleTest, AGroupDoesNotReachItsNeighbours) {
  const std::vector<HostTensor> start = {normals({5}, 1), normals({17, 3, 3, 3}, 2), normals({9}, 3),
                                         normals({6000}, 4), normals({1}, 5)};
  const std::vector<ParameterGroup> groups = {kUndecayed, kDecayed, kOrthogonalized, kDecayed, kUndecayed};
  const OptimizerOptions all[] = {AdamOptions{.weight_decay = 0.1f},
                                  SgdOptions{.momentum = 0.9f, .weight_decay = 0.1f}};
  for (const OptimizerOptions& options : all) {
    OptimizerOptions spared = options;
    std::visit([](auto& of) { of.weight_decay = 0.0f; }, spared);
    Updated grouped(backend(), start, options, groups), decayed(backend(), start, options, {}),
        undecayed(backend(), start, spared, {});
    for (std::uint64_t step = 0; step < 3; ++step) {
      std::vector<Values> gradients;
      for (std::size_t i = 0; i < start.size(); ++i) {
        gradients.push_back(normals(start[i].shape, 10 + 5 * step + i).values);
      }
      for (Updated* updated : {&grouped, &decayed, &undecayed}) updated->step(gradients);
    }
    for (const std::size_t i : {1u, 3u}) EXPECT_EQ(grouped.parameter(i), decayed.parameter(i)) << i;
    for (const std::size_t i : {0u, 4u}) EXPECT_EQ(grouped.parameter(i), undecayed.parameter(i)) << i;
    EXPECT_NE(decayed.parameter(0), undecayed.parameter(0));
    for (const OptimizerState& kept : grouped.optimizer().state()) {
      EXPECT_THAT(backend().read(*kept.tensors[2]), Exactly(Values(9, 0.0)));
    }
    const auto untouched = place_parameters(backend(), {start[2]});
    EXPECT_EQ(grouped.parameter(2), backend().read(*untouched->variables()[0].value));
  }
}

// The norm of many gradients of every size against the reference; and twice the same bits.
TEST_P(UpdateRuleTest, TheNormIsThatOfAllGradients) {
  const std::vector<Shape> shapes = {{5}, {64, 32, 3, 3}, {9}, {1}};
  std::vector<HostTensor> start;
  std::vector<Values> gradients;
  double squares = 0.0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    start.push_back(zeros(shapes[i]));
    gradients.push_back(small_integers(shapes[i], 8, i).values);
    for (const double value : gradients.back()) squares += value * value;
  }
  Updated updated(backend(), start, SgdOptions{.learning_rate = 1.0f}, {}, 1e4f);
  updated.step(gradients);
  EXPECT_THAT(updated.clip(), RelativelyNear({std::sqrt(squares), 1.0}, backend().epsilon()));
  EXPECT_EQ(updated.parameter(0)[0], -gradients[0][0]) << "a factor of 1 changes no bit";
}

TEST_P(UpdateRuleTest, ANanReachesEveryParameter) {
  Updated updated(backend(), kStart, SgdOptions{}, {}, 1.0f);
  updated.step({{1, std::numeric_limits<double>::quiet_NaN(), 1}, {1, 1}});
  for (const double value : updated.parameter(1)) EXPECT_TRUE(std::isnan(value));
}

TEST_P(UpdateRuleTest, RefusesWhatCannotBe) {
  const auto arena = place_parameters(backend(), kStart);
  const auto counter = backend().make_counter(step_rule(SgdOptions{}));
  const std::vector<ParameterGroup> one = {kDecayed};
  EXPECT_THAT(usage_error([&] { backend().make_optimizer(*arena, *counter, SgdOptions{}, {one}); }),
              HasSubstr("1 groups for 2 parameters"));
  for (const float norm : {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_THAT(usage_error([&] { backend().make_gradient_clip(*arena, norm); }),
                StartsWith("gradient clipping: norm"));
  }
  const auto without = place_parameters(backend(), kStart, false);
  EXPECT_THAT(usage_error([&] { backend().make_gradient_clip(*without, 1.0f); }), HasSubstr("gradients"));
}

INSTANTIATE_TEST_SUITE_P(, UpdateRuleTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
