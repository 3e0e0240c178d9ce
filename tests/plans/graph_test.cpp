// Graphs before cuDNN sees them: what is refused, and what makes two of them differ.
#include "engine/backend/cuda/dnn/operation_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/backend/cuda/layers/operation_graphs.h"
#include "tests/temporary_folder.h"

namespace convoy::cuda::dnn {
namespace {

using testing::HasSubstr;

/// The message of the UsageError that `run` throws.
template <typename Run>
std::string refusal(Run run) {
  EXPECT_THROW(run(), UsageError);
  return error_of(run);
}

TEST(GraphTest, InfersShapesOfEveryOperation) {
  OperationGraph g("test");
  const Window window{.kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}};
  const Value x = g.input(Role::x, {2, 6, 9, 8});
  const Value weight = g.input(Role::weight, {4, 3, 3, 2});  // two groups
  const Value y = g.convolve(x, weight, window);
  EXPECT_EQ(g.tensors().at(y.index).shape, (Shape{2, 4, 5, 6}));
  const PoolOutputs pooled = g.pool(y, {.kernel_size = {2, 2}, .stride = {2, 2}}, Pooling::max);
  EXPECT_EQ(g.tensors().at(pooled.y.index).shape, (Shape{2, 4, 2, 3}));
  EXPECT_EQ(g.tensors().at(pooled.index.index).type, DType::int8);
  EXPECT_EQ(g.nodes().size(), 2u);
  EXPECT_EQ(g.str(), "test of [2, 6, 9, 8] and [4, 3, 3, 2]");
  EXPECT_EQ(OperationGraph("empty").str(), "empty");
}

TEST(GraphTest, AnOutputIsWrittenInTheTypeThatWasAskedFor) {
  OperationGraph g("test");
  const PoolOutputs out = g.pool(g.input(Role::x, {1, 1, 2, 2}), {.kernel_size = {2, 2}}, Pooling::max);
  g.output(out.y, Role::y, DType::bfloat16);
  g.output(out.index, Role::index, DType::bfloat16);
  EXPECT_EQ(g.tensors().at(out.y.index).type, DType::bfloat16);
  EXPECT_EQ(g.tensors().at(out.index.index).type, DType::int8) << "an index is never rounded";
}

TEST(GraphTest, VirtualTensorsAreFp32ExceptAMaskedGradient) {
  OperationGraph g("test");
  const Value x = g.input(Role::x, {1, 8, 2, 2}, DType::bfloat16);
  const Value dy = g.input(Role::dy, {1, 8, 2, 2}, DType::bfloat16);
  EXPECT_EQ(g.tensors().at(g.relu(x).index).type, DType::float32);
  EXPECT_EQ(g.tensors().at(g.relu_backward(dy, x).index).type, DType::bfloat16);
}

TEST(GraphTest, RefusesTensorsThatAreNotFourPositiveDimensions) {
  for (const Shape& shape :
       {Shape{}, Shape{2, 3}, Shape{1, 2, 3, 4, 5}, Shape{0, 1, 2, 3}, Shape{1, -1, 2, 3}}) {
    OperationGraph g("conv2d.fprop");
    EXPECT_EQ(refusal([&] { g.input(Role::x, shape); }),
              "graph conv2d.fprop: " + shape.str() + " is not four positive dimensions");
  }
}

TEST(GraphTest, RefusesARoleThatIsTaken) {
  OperationGraph g("test");
  const Value x = g.input(Role::x, {1, 4, 2, 2});
  EXPECT_THAT(refusal([&] { g.input(Role::x, {1, 4, 2, 2}); }), HasSubstr("graph test: role 1 is taken"));
  EXPECT_THAT(refusal([&] { g.input(Role::none, {1, 4, 2, 2}); }), HasSubstr("is taken"));
  EXPECT_THAT(refusal([&] { g.scalar(Role::x); }), HasSubstr("is taken"));
  const Value y = g.relu(x);
  EXPECT_THAT(refusal([&] { g.output(y, Role::x); }), HasSubstr("is taken"));
  g.output(y, Role::y);
  EXPECT_THAT(refusal([&] { g.output(y, Role::dy); }), HasSubstr("an output has two roles"));
  EXPECT_THAT(refusal([&] { g.output(x, Role::dy); }), HasSubstr("an output has two roles"));
}

struct Misfit {
  const char* why;
  Shape weight;
  Window window;
};

const Window kThree{.kernel_size = {3, 3}};

// All with x = [2, 6, 5, 5].
const Misfit kMisfits[] = {
    {"channels are no multiple of the weight's", {4, 4, 3, 3}, kThree},
    {"outputs do not divide into the groups", {3, 3, 3, 3}, kThree},
    {"the window is not of the weight's taps", {4, 6, 3, 2}, kThree},
    {"the kernel is larger than the plane", {4, 6, 6, 3}, {.kernel_size = {6, 3}}},
    {"the dilated kernel is larger than the plane",
     {4, 6, 3, 3},
     {.kernel_size = {3, 3}, .dilation = {1, 3}}},
    {"stride 0", {4, 6, 3, 3}, {.kernel_size = {3, 3}, .stride = {0, 1}}},
    {"dilation 0", {4, 6, 3, 3}, {.kernel_size = {3, 3}, .dilation = {1, 0}}},
    {"padding below 0", {4, 6, 3, 3}, {.kernel_size = {3, 3}, .padding = {-1, 0}}},
};

TEST(GraphTest, RefusesConvolutionsThatDoNotFit) {
  const Shape x{2, 6, 5, 5};
  for (const Misfit& misfit : kMisfits) {
    SCOPED_TRACE(misfit.why);
    OperationGraph g("conv");
    const Value input = g.input(Role::x, x);
    const Value weight = g.input(Role::weight, misfit.weight);
    const Value dy = g.input(Role::dy, {2, 4, 3, 3});
    EXPECT_EQ(refusal([&] { g.convolve(input, weight, misfit.window); }),
              "graph conv: convolution of [2, 6, 5, 5] and " + misfit.weight.str() + " do not fit");
    EXPECT_THAT(refusal([&] { g.convolve_backward_data(dy, weight, misfit.window, x); }),
                HasSubstr("graph conv: input gradient [2, 6, 5, 5]"));
    EXPECT_THAT(refusal([&] { g.convolve_backward_weight(input, dy, misfit.window, misfit.weight); }),
                HasSubstr("graph conv: weight gradient " + misfit.weight.str()));
    EXPECT_TRUE(g.nodes().empty()) << "what is refused leaves no trace";
  }
}

TEST(GraphTest, RefusesGradientsOfAnotherShape) {
  OperationGraph g("conv");
  const Value x = g.input(Role::x, {2, 6, 5, 5});
  const Value weight = g.input(Role::weight, {4, 6, 3, 3});
  const Value dy = g.input(Role::dy, {2, 4, 3, 4});  // [2, 4, 3, 3] would fit
  EXPECT_THAT(refusal([&] {
                g.convolve_backward_data(dy, weight, kThree, {2, 6, 5, 5});
              }),
              HasSubstr("do not fit"));
  EXPECT_THAT(refusal([&] {
                g.convolve_backward_weight(x, dy, kThree, {4, 6, 3, 3});
              }),
              HasSubstr("do not fit"));
}

TEST(GraphTest, RefusesPoolsThatDoNotFit) {
  OperationGraph g("pool");
  const Window window{.kernel_size = {2, 2}, .stride = {2, 2}};
  const Value x = g.input(Role::x, {1, 4, 5, 5});
  const Value dy = g.input(Role::dy, {1, 4, 2, 2});
  const Value other = g.input(Role::index, {1, 4, 2, 1}, DType::int8);
  EXPECT_THAT(refusal([&] {
                g.pool(x, {.kernel_size = {6, 2}}, Pooling::max);
              }),
              HasSubstr("graph pool: pooling"));
  EXPECT_THAT(refusal([&] {
                g.pool(x, {.kernel_size = {2, 2}, .stride = {0, 2}}, Pooling::max);
              }),
              HasSubstr("do not fit"));
  EXPECT_THAT(refusal([&] {
                g.pool_backward(dy, dy, window, Pooling::max, {1, 4, 9, 5});
              }),
              HasSubstr("pooling gradient [1, 4, 9, 5]"));
  EXPECT_THAT(refusal([&] {
                g.pool_backward(dy, other, window, Pooling::max, {1, 4, 5, 5});
              }),
              HasSubstr("pooling index of [1, 4, 2, 2] and [1, 4, 2, 1] do not fit"));
  g.pool_backward(dy, other, window, Pooling::average_exclude_padding, {1, 4, 5, 5});  // needs no index
}

TEST(GraphTest, RefusesBatchNormVectorsOfOtherChannels) {
  OperationGraph g("norm");
  const Value x = g.input(Role::x, {2, 4, 5, 5});
  const Value fits = g.input(Role::scale, {1, 4, 1, 1});
  const Value wrong = g.input(Role::bias, {1, 8, 1, 1});
  const Value dy = g.input(Role::dy, {2, 4, 5, 4});
  const Value e = g.scalar(Role::epsilon);
  EXPECT_THAT(refusal([&] {
                g.batch_norm_training({x, fits, wrong, e, e, fits, fits});
              }),
              HasSubstr("graph norm: batch norm of [2, 4, 5, 5] and [1, 8, 1, 1] do not fit"));
  EXPECT_THAT(refusal([&] { g.batch_norm_inference(x, fits, fits, wrong, fits); }), HasSubstr("batch norm"));
  EXPECT_THAT(refusal([&] { g.batch_norm_backward(x, x, fits, fits, wrong); }),
              HasSubstr("batch norm gradient"));
  EXPECT_THAT(refusal([&] { g.batch_norm_backward(x, dy, fits, fits, fits); }),
              HasSubstr("of [2, 4, 5, 5] and [2, 4, 5, 4]"));
}

TEST(GraphTest, PointwiseOperandsBroadcastOneWayOnly) {
  OperationGraph g("add");
  const Value a = g.input(Role::x, {2, 4, 5, 5});
  const Value b = g.input(Role::dy, {1, 4, 1, 1});
  EXPECT_EQ(g.tensors().at(g.add(a, b).index).shape, (Shape{2, 4, 5, 5}));
  EXPECT_THAT(refusal([&] { g.add(b, a); }),
              HasSubstr("pointwise operation of [1, 4, 1, 1] and [2, 4, 5, 5]"));
  const Value c = g.input(Role::bias, {1, 2, 1, 1});
  EXPECT_THAT(refusal([&] { g.add(a, c); }), HasSubstr("do not fit"));
}

// What a layer asks for that cuDNN would refuse, or worse, accept.
TEST(GraphTest, TheEnginesBuildersRefuseShapesBeforeCudnnSeesThem) {
  const auto type = DType::float32;
  const Shape x{2, 4, 5, 5};
  const std::vector<Conv2d> layers = {
      {.in_channels = 2, .out_channels = 8, .bias = false},          // would be 2 groups
      {.in_channels = 4, .out_channels = 8, .kernel_size = {7, 7}},  // larger than the plane
      {.in_channels = 4, .out_channels = 8, .stride = {0, 1}},
      {.in_channels = 4, .out_channels = 8, .dilation = {1, 0}},
      {.in_channels = 4, .out_channels = 0},
      {.in_channels = 4, .out_channels = 6, .groups = 4},
      {.in_channels = 4, .out_channels = 8, .groups = 0},
  };
  for (const Conv2d& layer : layers) {
    EXPECT_THAT(refusal([&] { conv2d_forward_graph(layer, false, x, type); }), HasSubstr("Conv2d: "));
    EXPECT_THAT(refusal([&] { conv2d_backward_data_graph(layer, x, type); }), HasSubstr("Conv2d: "));
    EXPECT_THAT(refusal([&] { conv2d_backward_weight_graph(layer, x, type); }), HasSubstr("Conv2d: "));
  }
  const MaxPool2d large{.kernel_size = {6, 6}};
  const MaxPool2d backwards{.kernel_size = {2, 2}, .stride = {-1, 2}};
  const MaxPool2d padded{.kernel_size = {2, 2}, .padding = {2, 2}};
  for (const MaxPool2d& layer : {large, backwards, padded}) {
    EXPECT_THAT(refusal([&] { pool_forward_graph(layer, x, type); }), HasSubstr("MaxPool2d: "));
    EXPECT_THAT(refusal([&] { pool_backward_graph(layer, x, type); }), HasSubstr("MaxPool2d: "));
    const AvgPool2d average{layer.kernel_size, layer.stride, layer.padding};
    EXPECT_THAT(refusal([&] { pool_forward_graph(average, x, type); }), HasSubstr("AvgPool2d: "));
    EXPECT_THAT(refusal([&] { pool_backward_graph(average, x, type); }), HasSubstr("AvgPool2d: "));
  }
  EXPECT_THAT(refusal([&] {
                batch_norm_training_graph({2, 0, 5, 5}, true, type);
              }),
              HasSubstr("[2, 0, 5, 5]"));
  EXPECT_THAT(refusal([&] {
                batch_norm_backward_graph({2, 0, 5, 5}, true, type);
              }),
              HasSubstr("[2, 0, 5, 5]"));
}

// The engine's own graphs, each one step away from the first.
TEST(GraphSignatureTest, TellsApartWhatCudnnWouldPlanDifferently) {
  const Conv2d conv{.in_channels = 4, .out_channels = 8, .kernel_size = {3, 3}};
  const auto with = [&](auto change) {
    Conv2d changed = conv;
    change(changed);
    return conv2d_forward_graph(changed, false, {2, 4, 9, 9}, DType::float32);
  };
  const MaxPool2d pool;
  const MaxPool2d padded{.padding = {1, 1}};
  const AvgPool2d average;
  const AvgPool2d without_padding{.count_include_pad = false};
  const Shape x{2, 4, 9, 9};
  const std::vector<OperationGraph> graphs = {
      conv2d_forward_graph(conv, false, x, DType::float32),
      conv2d_forward_graph(conv, false, x, DType::bfloat16),
      conv2d_forward_graph(conv, false, {3, 4, 9, 9}, DType::float32),
      with([](Conv2d& c) { c.bias = false; }),
      with([](Conv2d& c) {
        c.padding = {1, 1};
      }),
      with([](Conv2d& c) {
        c.padding = {0, 1};
      }),
      with([](Conv2d& c) {
        c.stride = {2, 2};
      }),
      with([](Conv2d& c) {
        c.dilation = {2, 2};
      }),
      with([](Conv2d& c) { c.groups = 2; }),
      conv2d_backward_data_graph(conv, x, DType::float32),
      conv2d_backward_weight_graph(conv, x, DType::float32),
      batch_norm_training_graph(x, false, DType::float32),
      batch_norm_training_graph(x, true, DType::float32),
      batch_norm_backward_graph(x, false, DType::float32),
      batch_norm_backward_graph(x, true, DType::float32),
      pool_forward_graph(pool, x, DType::float32),
      pool_forward_graph(average, x, DType::float32),
      pool_forward_graph(without_padding, x, DType::float32),
      pool_forward_graph(padded, x, DType::float32),
      pool_backward_graph(pool, x, DType::float32),
      pool_backward_graph(average, x, DType::float32),
  };
  std::set<std::string> signatures;
  for (const OperationGraph& graph : graphs) {
    EXPECT_TRUE(signatures.insert(graph.signature()).second) << graph.str() << ": " << graph.signature();
  }
}

TEST(GraphSignatureTest, IsTheSameForTheSameGraph) {
  const Conv2d conv{.in_channels = 4, .out_channels = 8, .kernel_size = {3, 3}};
  const auto make = [&] { return conv2d_forward_graph(conv, false, {2, 4, 9, 9}, DType::bfloat16); };
  EXPECT_EQ(make().signature(), make().signature());
}

TEST(GraphSignatureTest, TellsApartWhichTensorPlaysWhichPart) {
  const auto sum = [](bool swapped) {
    OperationGraph g("add");
    const Value a = g.input(Role::x, {1, 4, 2, 2});
    const Value b = g.input(Role::dy, {1, 4, 2, 2});
    g.output(swapped ? g.add(b, a) : g.add(a, b), Role::y);
    return g.signature();
  };
  EXPECT_NE(sum(false), sum(true));
}

}  // namespace
}  // namespace convoy::cuda::dnn
