// Group norm, which does in evaluation what it does in training.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class GroupNormTest : public BackendTest {};

MakeOperation group_norm(const GroupNorm& layer) {
  return [layer](Backend& backend, const Variable& x, const Variable& weight, const Variable& bias) {
    return backend.make_group_norm(layer, x, weight, bias);
  };
}

std::function<HostTensor(const Shape&)> upstream(const Values& values) {
  return [values](const Shape& shape) { return HostTensor{shape, values}; };
}

LayerInput random_input(const Shape& x, double mean = 0.0) {
  return {.x = normals(x, 1, mean),
          .parameters = {normals({x[1]}, 2), normals({x[1]}, 3)},
          .upstream = [](const Shape& shape) { return normals(shape, 4); }};
}

const HostTensor kPytorchX = {{2, 4, 2, 2}, {1, 2, 4, 8,  -1, 0, 3,  5, 2, -2, 0.5, 1.5, 0, 1, -3, 2,
                                             1, 0, 2, -4, 3,  6, -1, 2, 5, -5, 0,   1,   2, 2, -3, 0.5}};
const Values kPytorchUpstream = {1, -1, 2, 0,  0.5, 1,   -2, 3, -1, 2, 0,  1, 1, 0.25, -0.5, 2,
                                 0, 1,  1, -2, 3,   0.5, -1, 1, 2,  2, -1, 0, 1, -1,   0.25, 0};

TEST_P(GroupNormTest, NormalisesKnownNumbersByHand) {
  // One group. Image 0 is 1, 3, 1, 3: mean 2, variance 1. Image 1 is -4, 4, 4, -4: mean 0, variance 16. With
  // g = weight dy they have the means of g 13/4 and 3, of g xhat 3/4 and -5.
  const LayerInput input{.x = {{2, 2, 1, 2}, {1, 3, 1, 3, -4, 4, 4, -4}},
                         .parameters = {{{2}, {2, 1}}, {{2}, {10, 0}}},
                         .upstream = upstream({1, 2, 3, 4, 4, 0, -4, 8})};
  const LayerRun run = run_layer(backend(), input, group_norm({1, 2, 0.0}));
  EXPECT_THAT(run.output, Exactly({8, 12, -1, 1, 8, 12, 1, -1}));
  EXPECT_THAT(run.x_grad, Exactly({-0.5, 0, 0.5, 0, 0, 0.5, -0.5, 0}));
  EXPECT_THAT(run.parameter_grads.at(0), Exactly({-3, -11}));
  EXPECT_THAT(run.parameter_grads.at(1), Exactly({7, 11}));
}

// gn = nn.GroupNorm(2, 4, eps=1e-3).double(); weight [1.5, -0.5, 2, 0.25], bias [0.25, 0.125, -1, 3]. A few
// roundings of numbers near 1: sums of eight.
TEST_P(GroupNormTest, AgreesWithPyTorch) {
  const LayerInput input{.x = kPytorchX,
                         .parameters = {{{4}, {1.5, -0.5, 2, 0.25}}, {{4}, {0.25, 0.125, -1, 3}}},
                         .upstream = upstream(kPytorchUpstream)};
  const LayerRun run = run_layer(backend(), input, group_norm({2, 4, 1e-3}));
  const double allowed = 16 * backend().epsilon();
  EXPECT_THAT(
      run.output,
      RelativelyNear({-0.7124687202748783,  -0.1624865944035192, 0.937477657339199,   3.1374061608246353,
                      0.8124776573391987,   0.6291502820487458,  0.07916815617738676, -0.28748659440351926,
                      1.0203892386801963,   -3.597643306874538,  -0.7113729659028291, 0.4431351704858545,
                      2.9639216207378536,   3.1082351377864392,  2.530981069592097,   3.2525486548350244,
                      0.1820329776944385,   -0.361703200750054,  0.725769156138931,   -2.5366479145280243,
                      -0.21483511152780785, -0.7585712899723004, 0.5101464597315155,  -0.033589718712977,
                      2.228042110306086,    -4.6584477250135645, -1.215202807353739,  -0.5265538238217741,
                      3.145261894963774,    3.145261894963774,   2.7148562802562957,  3.01614021055153},
                     allowed));
  EXPECT_THAT(
      run.x_grad,
      RelativelyNear({0.4852762623418667,   -0.6235450540637548, 1.0086871942245157,  -0.12670531616981578,
                      -0.13865542184891216, -0.239176174157042,  0.28423475772560697, -0.6501162480524648,
                      -1.1252230057709278,  1.4982558349371162,  -0.2857319575539968, 1.0787875709491885,
                      -0.24642413656266213, -0.1446478822345996, -1.0929285884790452, 0.31791216471492656,
                      0.08634184830749055,  0.6864539383599995,  0.5737021151439667,  -0.7192509505414126,
                      -0.5701461533530348,  -0.2861604061400066, 0.38033906433835407, -0.15127945611535665,
                      1.1661660469917583,   1.0599228814573862,  -0.9529024863713227, -0.2536291862859205,
                      -0.1569237467909877,  -0.329085992673979,  -0.2746061717642954, -0.2589413445626391},
                     allowed));
  EXPECT_THAT(run.parameter_grads.at(0),
              RelativelyNear({4.174889982167976, 4.605868285722105, -3.2090745520023174, 2.637205000490151},
                             allowed));
  EXPECT_THAT(run.parameter_grads.at(1), Exactly({2, 6, 5, 3}));
}

TEST_P(GroupNormTest, AgreesWithPyTorchWithoutAffine) {  // nn.GroupNorm(1, 4, affine=False).double()
  const LayerInput input{.x = kPytorchX, .parameters = {}, .upstream = upstream(kPytorchUpstream)};
  const LayerRun run = run_layer(backend(), input, group_norm({1, 4, 1e-5, /*affine=*/false}));
  const double allowed = 16 * backend().epsilon();
  EXPECT_THAT(
      run.output,
      RelativelyNear({-0.1920060027237337, 0.1920060027237337,   0.9600300136186685,   2.496078035408538,
                      -0.9600300136186685, -0.5760180081712011,  0.5760180081712011,   1.3440420190661357,
                      0.1920060027237337,  -1.3440420190661357,  -0.3840120054474674,  0.0,
                      -0.5760180081712011, -0.1920060027237337,  -1.7280540245136033,  0.1920060027237337,
                      0.09829750872490277, -0.25120474451919594, 0.4477997619690015,   -1.649213757495591,
                      0.7973020152131002,  1.8458087749453964,   -0.6007069977632947,  0.4477997619690015,
                      1.4963065217012976,  -1.9987160107396895,  -0.25120474451919594, 0.09829750872490277,
                      0.4477997619690015,  0.4477997619690015,   -1.2997115042514922,  -0.0764536178971466},
                     allowed));
  EXPECT_THAT(
      run.x_grad,
      RelativelyNear({0.16709277395757213,  -0.6111066552562063,  0.5205785244485085,   -0.28814715972180094,
                      -0.00456239212847423, 0.1772681922764158,   -1.0052940790225173,  0.8944151115771323,
                      -0.6111066552562063,  0.5816310343615705,   -0.21183152233047342, 0.16200506479815027,
                      0.1772681922764158,   -0.1209162301280284,  -0.36822356093825426, 0.5409293610861958,
                      -0.16200384486146002, 0.23925869913501513,  0.13573811763026233,  -0.6022068975877755,
                      0.7829823333660834,   -0.24605417200129265, -0.40798551660080595, 0.13573811763026233,
                      0.32995949861723184,  0.8475624061409959,   -0.4597458073531823,  -0.16200384486146002,
                      0.13573811763026233,  -0.5632663888579351,  0.13241288145907026,  -0.1361236994852718},
                     allowed));
}

// The longest sums are those of a group and, for a parameter's gradient, of a channel.
TEST_P(GroupNormTest, IsWithinRounding) {
  const struct {
    Shape shape;
    std::int64_t groups;
  } kCases[] = {{{4, 1, 5, 5}, 1},   {{3, 6, 7, 2}, 2},  {{1, 17, 6, 5}, 17}, {{5, 33, 3, 3}, 11},
                {{2, 64, 2, 2}, 32}, {{3, 12, 1, 1}, 3}, {{2, 16, 30, 30}, 1}};
  for (const auto& [shape, groups] : kCases) {
    SCOPED_TRACE(shape.str() + " in " + std::to_string(groups));
    const LayerInput input = random_input(shape);
    const MakeOperation make = group_norm({groups, shape[1]});
    const std::int64_t plane = shape[2] * shape[3];
    const std::int64_t terms = std::max(shape[1] / groups, shape[0]) * plane;
    const double allowed = backend().epsilon() * (8 + 4 * std::sqrt(static_cast<double>(terms)));
    expect_near(run_layer(backend(), input, make), run_layer(truth(), input, make),
                {.output = allowed, .x_grad = allowed, .parameter_grads = {allowed, allowed}});
  }
}

// As of batch norm: the mean is rounded to epsilon times itself, a few times over, and that is what xhat may
// be off by. A variance by E[x^2] - E[x]^2 would be off by epsilon mean^2.
TEST_P(GroupNormTest, KeepsItsPrecisionFarFromZero) {
  const double mean = 100.0;
  const LayerInput input = random_input({3, 4, 9, 6}, mean);
  const MakeOperation make = group_norm({2, 4});
  EXPECT_THAT(run_layer(backend(), input, make).output,
              RelativelyNear(run_layer(truth(), input, make).output, 8 * mean * backend().epsilon()));
}

TEST_P(GroupNormTest, PassesANanOnWithinItsGroupAlone) {
  LayerInput input = random_input({2, 4, 3, 3});
  const MakeOperation make = group_norm({2, 4});
  const Values clean = run_layer(backend(), input, make).output;
  input.x.values[5] = std::nan("");
  Values expected = clean;
  std::fill_n(expected.begin(), 2 * 9, std::nan(""));  // image 0, channels 0 and 1
  const LayerRun run = run_layer(backend(), input, make);
  EXPECT_THAT(run.output, Exactly(expected));
  for (std::size_t i = 0; i < run.x_grad.size(); ++i) EXPECT_EQ(std::isnan(run.x_grad[i]), i < 2 * 9) << i;
  for (const std::size_t c : {0u, 1u, 2u, 3u}) {
    EXPECT_EQ(std::isnan(run.parameter_grads.at(0).at(c)), c < 2) << c;
  }
}

TEST_P(GroupNormTest, EvaluatesAsItTrains) {
  const auto arena = place_parameters(backend(), {{{4}, {1, 2, 3, 4}}, {{4}, {4, 3, 2, 1}}}, false);
  const OperationPtr norm = backend().make_group_norm({2, 4}, place(backend(), kPytorchX, false),
                                                      arena->variables()[0], arena->variables()[1]);
  backend().prepare();
  EXPECT_EQ(norm->output().grad, nullptr);
  norm->forward(Phase::training);
  const Values trained = backend().read(*norm->output().value);
  norm->forward(Phase::evaluation);
  EXPECT_THAT(backend().read(*norm->output().value), Exactly(trained));
}

TEST_P(GroupNormTest, TrainsItsParametersBehindAnInputWithoutGradient) {
  const LayerInput input = random_input({3, 6, 5, 4});
  const LayerRun expected = run_layer(backend(), input, group_norm({3, 6}));
  const auto arena = place_parameters(backend(), input.parameters);
  const auto p = arena->variables();
  const OperationPtr norm = backend().make_group_norm({3, 6}, place(backend(), input.x, false), p[0], p[1]);
  backend().prepare();
  norm->forward(Phase::training);
  backend().write(*norm->output().grad, input.upstream(input.x.shape).values);
  norm->backward();
  EXPECT_THAT(backend().read(*p[0].grad), Exactly(expected.parameter_grads.at(0)));
  EXPECT_THAT(backend().read(*p[1].grad), Exactly(expected.parameter_grads.at(1)));
}

TEST_P(GroupNormTest, RefusesWhatDoesNotFit) {
  const auto message = [&](const GroupNorm& layer, const Shape& x, const std::vector<Shape>& parameters) {
    LayerInput input{.x = zeros(x), .parameters = {}, .upstream = [](const Shape& s) { return zeros(s); }};
    for (const Shape& shape : parameters) input.parameters.push_back(zeros(shape));
    return usage_error([&] { run_layer(backend(), input, group_norm(layer)); });
  };
  const Shape image{2, 6, 5, 5};
  EXPECT_THAT(message({4, 6}, image, {{6}, {6}}), HasSubstr("num_groups 4 does not divide num_channels 6"));
  EXPECT_THAT(message({0, 6}, image, {{6}, {6}}), HasSubstr("num_groups is 0"));
  EXPECT_THAT(message({2, 0}, image, {{6}, {6}}), HasSubstr("num_channels is 0"));
  EXPECT_THAT(message({2, 4}, image, {{4}, {4}}),
              AllOf(HasSubstr("GroupNorm"), HasSubstr("[2, 6, 5, 5]"), HasSubstr("set num_channels to 6")));
  EXPECT_THAT(message({2, 6, -1.0}, image, {{6}, {6}}), HasSubstr("eps is -1"));
  EXPECT_THAT(message({2, 6, std::nan("")}, image, {{6}, {6}}), HasSubstr("eps is nan"));
  EXPECT_THAT(message({2, 6}, {2, 6}, {{6}, {6}}), HasSubstr("needs an input [N, C, H, W], but gets [2, 6]"));
  EXPECT_THAT(message({2, 6}, image, {{5}, {6}}), AllOf(HasSubstr("weight"), HasSubstr("[5]")));
  EXPECT_THAT(message({2, 6}, image, {{6}, {5}}), AllOf(HasSubstr("bias"), HasSubstr("[5]")));
  EXPECT_THAT(message({2, 6}, image, {}), HasSubstr("GroupNorm: weight is missing"));
  EXPECT_THAT(message({2, 6, 1e-5, false}, image, {{6}, {6}}), HasSubstr("[6] for a layer without weight"));
}

INSTANTIATE_TEST_SUITE_P(, GroupNormTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
