// Muon on every backend.
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

class MuonTest : public BackendTest {};

constexpr ParameterGroup kDecayed = ParameterGroup::decayed, kOrthogonalized = ParameterGroup::orthogonalized;
using AdjustRate = MuonOptions::AdjustRate;

/// Parameters with Muon and the optimizer of the others.
class PlacedMuon {
 public:
  PlacedMuon(Backend& backend, const std::vector<HostTensor>& parameters,
             const std::vector<ParameterGroup>& groups, const MuonOptions& options,
             const OptimizerOptions& others, const Schedule& schedule = {}, float max_norm = 0.0f)
      : backend_(backend),
        arena_(place_parameters(backend, parameters)),
        counter_(backend.make_counter(step_rule(others, schedule))),
        clip_(max_norm > 0.0f ? backend.make_gradient_clip(*arena_, max_norm) : nullptr),
        optimizer_(backend.make_optimizer(*arena_, *counter_, others, {groups, clip_.get()})),
        muon_(backend.make_muon(*arena_, *counter_, options, {groups, clip_.get()})) {
    backend.prepare();
  }

  void step(const std::vector<Values>& gradients) {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      backend_.write(*arena_->variables()[i].grad, gradients[i]);
    }
    counter_->advance();
    if (clip_) clip_->measure();
    optimizer_->step();
    muon_->step();
  }

  Values parameter(std::size_t i) const { return backend_.read(*arena_->variables()[i].value); }
  Values momentum(std::size_t i) const { return backend_.read(*muon_->state()[0].tensors[i]); }
  const Optimizer& muon() const { return *muon_; }

 private:
  Backend& backend_;
  std::unique_ptr<ParameterArena> arena_;
  std::unique_ptr<StepCounter> counter_;
  std::unique_ptr<GradientClip> clip_;
  std::unique_ptr<Optimizer> optimizer_, muon_;
};

const std::vector<Values> kGradients = {
    {0.5, -1, 0.25, 1, 0.125, -0.5}, {0.25, 2, 1e-3, -0.5, 1, 0.75}, {-1, 0.5, -4, 2, 0.5, -0.25}};
const Values kStart = {1, -2, 0.5, 2, -1, 0.25};

// torch.optim.Muon (PyTorch 2.15) whose iterations were made to run in double instead of bf16, with
// float32(0.05), float32(0.1), float32(0.95) and a LinearLR(optimizer, 0.25, 1, total_iters=2).
//
// An iteration multiplies errors by at most 3.5, the slope of its polynomial at 0, and the first ones act on
// small singular values alone; so five of them leave less than 3.5^5 = 525 roundings of an update of 1, and
// the rates of three steps add up to 0.11.
TEST_P(MuonTest, AgreesWithPyTorch) {
  constexpr auto kOriginal = AdjustRate::original, kRms = AdjustRate::match_rms_adamw;
  const struct {
    Shape shape;
    bool nesterov;
    AdjustRate adjust;
    Values expected;
  } cases[] = {
      {{2, 3},
       true,
       kOriginal,
       {0.9811009234708795, -2.000333039557944, 0.5449447318968701, 1.9481041751518755, -1.0192855181384575,
        0.2378533157997357}},
      {{2, 3},
       true,
       kRms,
       {0.9873426005272672, -1.9878942336474197, 0.5125140281756786, 1.9698016242928322, -1.0005701321334008,
        0.24426462333437488}},
      {{2, 3},
       false,
       kOriginal,
       {0.9674035297488836, -1.9978287749342845, 0.5438252471848887, 1.9490458162859807, -1.0321688551973531,
        0.24826520274386338}},
      {{3, 2},
       true,
       kOriginal,
       {0.9742649283546516, -2.0433962515835957, 0.5151244800376814, 1.956866679117615, -1.0507874822605427,
        0.23532420395754125}},
      {{3, 2},
       true,
       kRms,
       {0.9860161479646207, -1.9988645643781744, 0.5009254116758859, 1.9743903053926275, -1.007659994676848,
        0.2441728393982566}},
      {{3, 2},
       false,
       kRms,
       {0.983183164586179, -1.9988293310174452, 0.5027218230084741, 1.968121842075885, -1.0083814669547837,
        0.24708331470043582}},
  };
  const Values momentum = {-0.015562504425645041, 0.07487501779198645, -0.18867129526644952,
                           0.12137502810358981,   0.07814064289256913, 0.0005625002533197652};
  const Schedule schedule{LinearLR{.start_factor = 0.25, .total_iters = 2}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.shape.str());
    const MuonOptions options{.learning_rate = 0.05f, .nesterov = c.nesterov, .adjust_rate = c.adjust};
    // The other optimizer's rate plays no part in it.
    PlacedMuon muon(backend(), {{c.shape, kStart}}, {kOrthogonalized}, options,
                    SgdOptions{.learning_rate = 0.3f}, schedule);
    for (const Values& gradient : kGradients) muon.step({gradient});
    const double of_update = 0.11 * 525 * backend().epsilon();
    EXPECT_THAT(muon.parameter(0), RelativelyNear(c.expected, 6 * backend().epsilon() + of_update));
    EXPECT_THAT(muon.momentum(0), RelativelyNear(momentum, 20 * backend().epsilon()));
  }
}

// A convolution's weight is the matrix [out, in kh kw], whatever order its memory has; the others are the
// optimizer's, which does not see it.
TEST_P(MuonTest, TakesConvolutionsAsMatricesAndLeavesTheRest) {
  const AdamOptions adamw{.learning_rate = 0.01f, .weight_decay = 0.1f, .decoupled_weight_decay = true};
  const std::vector<HostTensor> parameters = {normals({9}, 1), normals({8, 3, 3, 2}, 2), normals({5}, 3),
                                              normals({40, 2, 2, 3}, 4)};
  const std::vector<ParameterGroup> groups = {kDecayed, kOrthogonalized, kDecayed, kOrthogonalized};
  const MuonOptions options{.learning_rate = 0.05f};
  PlacedMuon placed(backend(), parameters, groups, options, adamw, {}, 1.0f);
  PlacedMuon expected(truth(), parameters, groups, options, adamw, {}, 1.0f);
  for (std::uint64_t step = 0; step < 4; ++step) {
    std::vector<Values> gradients;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      gradients.push_back(normals(parameters[i].shape, 10 + 4 * step + i).values);
    }
    placed.step(gradients);
    expected.step(gradients);
  }
  // As above, for four steps of 0.05 and elements of an update below 1.2 sqrt(40 / 12).
  const double tolerance = 4 * 0.05 * 2.2 * 525 * backend().epsilon();
  for (const std::size_t i : {1u, 3u}) {
    EXPECT_THAT(placed.parameter(i), RelativelyNear(expected.parameter(i), tolerance));
    EXPECT_NE(placed.parameter(i), parameters[i].values);
  }
  for (const std::size_t i : {0u, 2u}) {
    EXPECT_THAT(placed.parameter(i), RelativelyNear(expected.parameter(i), 300 * backend().epsilon()));
    EXPECT_THAT(placed.momentum(i), Exactly(Values(parameters[i].values.size(), 0.0)));
  }
}

// The singular values of an update are near 1: its rows are nearly orthogonal, of lengths from 0.7 to 1.2
// (the iteration's own bounds, which Jordan et al. give).
TEST_P(MuonTest, AnUpdateIsNearlyOrthogonal) {
  const Shape shape{4, 2, 3, 3};
  PlacedMuon muon(backend(), {zeros(shape)}, {kOrthogonalized}, {.learning_rate = 1.0f, .weight_decay = 0.0f},
                  SgdOptions{.learning_rate = 1.0f});
  muon.step({normals(shape, 5).values});
  const Values update = muon.parameter(0);
  for (std::size_t a = 0; a < 4; ++a) {
    for (std::size_t b = 0; b < 4; ++b) {
      double product = 0.0;
      for (std::size_t k = 0; k < 18; ++k) product += update[a * 18 + k] * update[b * 18 + k];
      if (a == b) {
        EXPECT_GT(product, 0.7 * 0.7);
        EXPECT_LT(product, 1.25 * 1.25);
      } else {
        EXPECT_LT(std::abs(product), 0.5);
      }
    }
  }
}

TEST_P(MuonTest, RefusesWhatCannotBe) {
  const auto arena = place_parameters(backend(), {zeros({3, 2}), zeros({3})});
  const auto counter = backend().make_counter(step_rule(SgdOptions{}));
  const auto refusal = [&](const MuonOptions& options, const std::vector<ParameterGroup>& groups) {
    return usage_error([&] { backend().make_muon(*arena, *counter, options, {groups}); });
  };
  const std::vector<ParameterGroup> right = {kOrthogonalized, kDecayed};
  EXPECT_THAT(refusal({}, {kDecayed, kOrthogonalized}), HasSubstr("a parameter [3] is no matrix"));
  EXPECT_THAT(refusal({}, {kOrthogonalized}), HasSubstr("1 groups for 2 parameters"));
  EXPECT_THAT(refusal({.learning_rate = 0.0f}, right), StartsWith("Muon: learning rate"));
  EXPECT_THAT(refusal({.momentum = 1.0f}, right), StartsWith("Muon: momentum 1 is not in the range"));
  EXPECT_THAT(refusal({.weight_decay = -1.0f}, right), StartsWith("Muon: weight decay"));
  EXPECT_THAT(refusal({.steps = 100}, right), StartsWith("Muon: steps 100"));
}

INSTANTIATE_TEST_SUITE_P(, MuonTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
