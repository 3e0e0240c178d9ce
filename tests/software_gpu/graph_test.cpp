// Graphs by themselves: what they refuse, and the operators that no layer uses yet, planned and executed.
#include "engine/backend/cuda/dnn/operation_graph.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "convoy/error.h"
#include "engine/backend/cuda/runtime/context.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda::dnn {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string refusal(const std::function<void(OperationGraph&)>& build) {
  OperationGraph g("under.test");
  try {
    build(g);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no UsageError";
}

const Shape kImage{2, 4, 5, 5};

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no Error";
}

Window window_of_taps(const Shape& weight) { return {.kernel_size = {weight[2], weight[3]}}; }

TEST(GraphRefusal, NamesTheGraphAndTheShapes) {
  EXPECT_THAT(refusal([](OperationGraph& g) {
                g.input(Role::x, {2, 0, 5, 5});
              }),
              AllOf(HasSubstr("under.test"), HasSubstr("[2, 0, 5, 5]")));
  EXPECT_THAT(refusal([](OperationGraph& g) { g.input(Role::x, {2, 4}); }), HasSubstr("[2, 4]"));
  // 4 channels do not divide into groups of 3; and a 7x7 window does not fit.
  for (const Shape& weight : {Shape{6, 3, 3, 3}, Shape{6, 4, 7, 7}}) {
    EXPECT_THAT(refusal([&](OperationGraph& g) {
                  g.convolve(g.input(Role::x, kImage), g.input(Role::weight, weight), window_of_taps(weight));
                }),
                AllOf(HasSubstr("convolution"), HasSubstr(kImage.str()), HasSubstr(weight.str())));
  }
  EXPECT_THAT(refusal([](OperationGraph& g) {
                g.convolve_backward_data(g.input(Role::dy, {2, 6, 4, 4}), g.input(Role::weight, {6, 4, 3, 3}),
                                         window_of_taps({6, 4, 3, 3}), kImage);
              }),
              AllOf(HasSubstr("input gradient"), HasSubstr("[2, 6, 4, 4]")));
  EXPECT_THAT(refusal([](OperationGraph& g) {
                g.convolve_backward_weight(g.input(Role::x, kImage), g.input(Role::dy, {2, 6, 4, 4}),
                                           window_of_taps({6, 4, 3, 3}), {6, 4, 3, 3});
              }),
              HasSubstr("weight gradient"));
  EXPECT_THAT(refusal([](OperationGraph& g) {
                g.add(g.input(Role::x, kImage), g.input(Role::bias, {1, 3, 1, 1}));
              }),
              HasSubstr("[1, 3, 1, 1]"));
  EXPECT_THAT(refusal([](OperationGraph& g) {
                g.pool(g.input(Role::x, kImage), {.kernel_size = {6, 6}}, Pooling::max);
              }),
              HasSubstr("pooling"));
}

TEST(GraphRefusal, SeesMisfitGradients) {
  const Window window{.kernel_size = {2, 2}, .stride = {2, 2}};
  EXPECT_THAT(refusal([&](OperationGraph& g) {
                const Value dy = g.input(Role::dy, {2, 4, 3, 3});
                g.pool_backward(dy, dy, window, Pooling::average_include_padding, kImage);
              }),
              HasSubstr("pooling gradient"));
  EXPECT_THAT(refusal([&](OperationGraph& g) {
                g.pool_backward(g.input(Role::dy, {2, 4, 2, 2}),
                                g.input(Role::index, {2, 4, 1, 1}, DType::int8), window, Pooling::max,
                                kImage);
              }),
              HasSubstr("pooling index"));
  EXPECT_THAT(refusal([](OperationGraph& g) {
                const Value c = g.input(Role::scale, {1, 4, 1, 1});
                g.batch_norm_backward(g.input(Role::x, kImage), g.input(Role::dy, {2, 4, 4, 4}), c, c, c);
              }),
              HasSubstr("batch norm gradient"));
  EXPECT_THAT(refusal([](OperationGraph& g) {
                const Value c = g.input(Role::scale, {1, 3, 1, 1});
                g.batch_norm_inference(g.input(Role::x, kImage), c, c, c, c);
              }),
              HasSubstr("batch norm"));
}

TEST(GraphRefusal, SeesRolesThatAreTaken) {
  EXPECT_THAT(refusal([](OperationGraph& g) {
                g.input(Role::x, kImage);
                g.scalar(Role::x);
              }),
              HasSubstr("is taken"));
  EXPECT_THAT(refusal([](OperationGraph& g) {
                const Value y = g.relu(g.input(Role::x, kImage));
                g.output(y, Role::y);
                g.output(y, Role::dx);
              }),
              HasSubstr("two roles"));
}

// (a + b) + b, with a virtual tensor between.
TEST(GraphExecution, AddsWithATensorThatIsNowhere) {
  Context context({});
  OperationGraph g("sum");
  const Shape shape{1, 2, 1, 2};
  const Value a = g.input(Role::x, shape);
  const Value b = g.input(Role::bias, {1, 2, 1, 1});
  g.output(g.add(g.add(a, b), b), Role::y);

  const auto va = context.make_tensor(shape, DType::float32);
  const auto vb = context.make_tensor({1, 2, 1, 1}, DType::float32);
  const auto vy = context.make_tensor(shape, DType::float32);
  va->write(std::vector{5.0, 6.0, 7.0, 8.0}, context.stream());  // channel 0: 5 6, channel 1: 7 8
  vb->write(std::vector{2.0, 3.0}, context.stream());
  const auto sum = context.plan_store().request(
      g, {{Role::x, va->data()}, {Role::bias, vb->data()}, {Role::y, vy->data()}});
  context.prepare();
  sum->execute();
  EXPECT_THAT(vy->read(context.stream()), ElementsAre(9.0, 10.0, 13.0, 14.0));
  EXPECT_EQ(context.plans().size(), 1u);
}

TEST(GraphExecution, OneWorkspaceDoesForAllPlans) {
  Context context({});
  const Shape shape{1, 4, 8, 8};
  const auto tensor = [&](const Shape& of) { return context.make_tensor(of, DType::float32); };
  const auto x = tensor(shape), y = tensor(shape), z = tensor({1, 4, 6, 6}), weight = tensor({4, 4, 3, 3});
  OperationGraph relu("relu");
  relu.output(relu.relu(relu.input(Role::x, shape)), Role::y);
  PlanStore& store = context.plan_store();
  const auto first = store.request(relu, {{Role::x, x->data()}, {Role::y, y->data()}});
  OperationGraph convolution("convolution");
  convolution.output(
      convolution.convolve(convolution.input(Role::x, shape),
                           convolution.input(Role::weight, weight->shape()), window_of_taps(weight->shape())),
      Role::y);
  const auto second = store.request(
      convolution, {{Role::x, y->data()}, {Role::weight, weight->data()}, {Role::y, z->data()}});
  const std::int64_t before = allocated_bytes();
  context.prepare();
  const auto plans = context.plans();
  ASSERT_EQ(plans.size(), 2u);
  ASSERT_NE(plans[0].workspace, plans[1].workspace) << "else this shows nothing";
  first->execute();
  second->execute();
  CONVOY_CUDA(cudaStreamSynchronize(context.stream()));
  EXPECT_EQ(context.workspace_bytes(), std::max(plans[0].workspace, plans[1].workspace));
  EXPECT_EQ(allocated_bytes() - before, context.workspace_bytes());
}

// The stand-in's own rules about what is bound.
TEST(GraphExecutionDeathTest, BindingsAreChecked) {
  Context context({});
  OperationGraph g("relu");
  const Shape shape{1, 4, 2, 2};
  g.output(g.relu(g.input(Role::x, shape)), Role::y);
  const auto x = context.make_tensor(shape, DType::float32);
  const auto y = context.make_tensor(shape, DType::float32);
  const auto small = context.make_tensor({1, 4, 1, 1}, DType::float32);
  const auto run = [&](std::vector<Binding> bindings) {
    const auto bound = context.plan_store().request(g, std::move(bindings));
    context.prepare();
    bound->execute();
  };
  EXPECT_NO_THROW(run({{Role::x, x->data()}, {Role::y, y->data()}}));
  EXPECT_THROW(run({{Role::x, x->data()}}), CudnnError) << "y is bound to nothing";
  EXPECT_THROW(run({{Role::x, x->data()}, {Role::y, nullptr}}), CudnnError);
  EXPECT_THROW(run({{Role::x, x->as<float>() + 1}, {Role::y, y->data()}}), CudnnError) << "misaligned";
  EXPECT_THROW(run({{Role::x, x->data()}, {Role::y, y->data()}, {Role::bias, x->data()}}), CudnnError);
  EXPECT_DEATH(run({{Role::x, x->data()}, {Role::y, x->data()}}), "overlaps");
  EXPECT_DEATH(run({{Role::x, x->data()}, {Role::y, small->data()}}), "not within one live allocation");
}

TEST(GraphExecution, SaysThatThereIsNoPlan) {
  Context context({});
  OperationGraph g(
      "lonely.relu");  // one channel: the stand-in has no engine for it, as the real library has none
  g.output(g.relu(g.input(Role::x, {1, 1, 4, 4})), Role::y);
  const auto bound = context.plan_store().request(g, {});
  context.prepare();
  EXPECT_FALSE(bound->available());
  EXPECT_EQ(context.plans().at(0).realised_by, "nothing");
  EXPECT_EQ(context.plans().at(0).realisation, Realisation::nothing);
  EXPECT_THAT(error_of([&] { bound->execute(); }),
              AllOf(HasSubstr("cuDNN has no plan for lonely.relu"), HasSubstr("no own kernel stands in")));

  const Planner planner(describe_device(context.cudnn()),
                        {.precision = Precision::tf32, .deterministic = false});
  EXPECT_THAT(planner.plans(g, 1), IsEmpty());
  EXPECT_THAT(planner.no_plan(g),
              AllOf(HasSubstr("lonely.relu"), HasSubstr("tf32"), HasSubstr("workspace up to")));
}

OperationGraph relu_graph() {
  OperationGraph g("relu");
  g.output(g.relu(g.input(Role::x, kImage)), Role::y);
  return g;
}

TEST(GraphExecution, WhatIsNotPreparedSaysSo) {
  Context context({});
  const auto x = context.make_tensor(kImage, DType::float32);
  const auto y = context.make_tensor(kImage, DType::float32);
  const std::vector<Binding> bindings = {{Role::x, x->data()}, {Role::y, y->data()}};
  const auto first = context.plan_store().request(relu_graph(), bindings);
  const auto unprepared = HasSubstr("relu of [2, 4, 5, 5] is executed unprepared: Backend::prepare()");
  EXPECT_THAT(error_of([&] { first->execute(); }), unprepared);
  EXPECT_THAT(error_of([&] { first->available(); }), unprepared);
  EXPECT_EQ(context.plans().at(0).realised_by, "not prepared");
  EXPECT_EQ(context.workspace_bytes(), 0);
  context.prepare();
  const auto second = context.plan_store().request(relu_graph(), bindings);
  first->execute();
  EXPECT_THAT(error_of([&] { second->execute(); }), unprepared) << "the same plan is not yet bound to it";
  context.prepare();
  second->execute();
  EXPECT_EQ(context.plans().size(), 1u);
  EXPECT_EQ(context.plans().at(0).realisation, Realisation::planned);
  const auto reservation = context.reserve_workspace(1);
  EXPECT_THAT(error_of([&] { context.workspace(reservation, "gemm"); }),
              HasSubstr("gemm is executed unprepared"));
}

// A stand-in may need a graph of its own, and is made once.
TEST(GraphExecution, PreparesWhatStandsIn) {
  Context context({});
  OperationGraph g("lonely.relu");
  g.output(g.relu(g.input(Role::x, {1, 1, 4, 4})), Role::y);
  const auto x = context.make_tensor(kImage, DType::float32);
  const auto y = context.make_tensor(kImage, DType::float32);
  std::vector<std::shared_ptr<BoundGraph>> made;
  const auto make = [&] {
    made.push_back(context.plan_store().request(relu_graph(), {{Role::x, x->data()}, {Role::y, y->data()}}));
  };
  const auto bound = context.plan_store().request(g, {}, {.name = "relu", .make = make});
  context.plan_store().request(g, {}, {.name = "dropped", .make = [] { FAIL() << "nobody waits for it"; }});
  context.prepare();
  context.prepare();
  ASSERT_EQ(made.size(), 1u);
  made[0]->execute();
  ASSERT_EQ(context.plans().size(), 2u);
  EXPECT_EQ(context.plans()[0].realisation, Realisation::own_kernel);
  EXPECT_EQ(context.plans()[0].realised_by, "own kernel: relu");
  EXPECT_EQ(context.plans()[0].notes, "cuDNN has no plan");
  EXPECT_EQ(context.plans()[1].realisation, Realisation::planned);
}

TEST(GraphExecution, PolicyChoosesAmongEngines) {
  Context context({});
  OperationGraph g("conv");
  g.output(g.convolve(g.input(Role::x, kImage), g.input(Role::weight, {4, 4, 3, 3}), {.kernel_size = {3, 3}}),
           Role::y);
  const std::string device = describe_device(context.cudnn());
  const auto engine = [&](const Policy& policy) {
    return Planner(device, policy).plans(g, 1).at(0).info.engine;
  };
  // The stand-in's engines in its heuristics' order: 4 does not finalise, 0 is naive, 7 has tensor cores, 1
  // is not deterministic, 3 wants a terabyte, 2 and 5 are plain.
  EXPECT_EQ(engine({.precision = Precision::fp32}), 2);
  EXPECT_EQ(engine({.precision = Precision::fp32, .deterministic = false}), 1);
  EXPECT_EQ(engine({.precision = Precision::tf32}), 7);
  const auto plans = Planner(device, {.precision = Precision::tf32, .deterministic = false}).plans(g, 9);
  EXPECT_EQ(plans.size(), 5u);
  EXPECT_EQ(plans.back().info.engine, 0) << "naive ones come last";
}

}  // namespace
}  // namespace convoy::cuda::dnn
