// What is read from an engine's number, a plan's workspace and its text. The numbers are those that
// cuDNN 9.19 gave for the layers of the ConvNet.
#include "engine/backend/cuda/dnn/engine_facts.h"

#include <gtest/gtest.h>

#include "convoy/layers.h"
#include "engine/backend/cuda/layers/operation_graphs.h"

namespace convoy::cuda::dnn {
namespace {

const Conv2d kFirst{.in_channels = 1, .out_channels = 16, .kernel_size = {5, 5}, .padding = {2, 2}};
const Conv2d kSecond{.in_channels = 16, .out_channels = 32, .kernel_size = {5, 5}, .padding = {2, 2}};
const Shape kImages{100, 1, 28, 28};
const Shape kMaps{100, 16, 14, 14};

std::vector<OperationGraph> directions(const Conv2d& layer, const Shape& x, DType type = DType::float32) {
  return {conv2d_forward_graph(layer, false, x, type), conv2d_forward_graph(layer, true, x, type),
          conv2d_backward_data_graph(layer, x, type), conv2d_backward_weight_graph(layer, x, type)};
}

TEST(NaiveEngines, AreTheGroupedOnesOfAConvolutionOfOneGroup) {
  for (const OperationGraph& graph : directions(kSecond, kMaps)) {
    EXPECT_TRUE(is_naive(graph, 0)) << graph.str();
    for (const std::int64_t other : {1, 2, 11, 44, 74}) EXPECT_FALSE(is_naive(graph, other)) << graph.str();
  }
  for (const std::int64_t groups : {2, 16}) {
    Conv2d grouped = kSecond;
    grouped.groups = groups;
    for (const OperationGraph& graph : directions(grouped, kMaps)) {
      EXPECT_FALSE(is_naive(graph, 0)) << graph.str();
    }
  }
  EXPECT_FALSE(is_naive(pool_forward_graph(MaxPool2d{{2, 2}}, kMaps, DType::float32), 0));
  EXPECT_FALSE(is_naive(batch_norm_training_graph(kMaps, true, DType::float32), 0)) << "its only engine";
}

TEST(WinogradEngines, AreOfWeightGradientsOnly) {
  for (const OperationGraph& graph : directions(kFirst, kImages)) {
    EXPECT_EQ(is_winograd(graph, 17), graph.name() == "conv2d.wgrad") << graph.str();
    EXPECT_FALSE(is_winograd(graph, 1));
  }
  EXPECT_FALSE(is_winograd(pool_forward_graph(MaxPool2d{{2, 2}}, kMaps, DType::float32), 17));
}

TEST(TransposedTensors, AreKnownByAWorkspaceOfTheTensorsTogether) {
  for (const OperationGraph& graph : directions(kSecond, kMaps)) {
    const std::int64_t all = 4 * (100 * 16 * 14 * 14 + 100 * 32 * 14 * 14 + 32 * 16 * 5 * 5);
    EXPECT_EQ(transposed_tensors(graph, all + 16), 3) << graph.str();
    EXPECT_EQ(transposed_tensors(graph, all), 3);
    EXPECT_EQ(transposed_tensors(graph, all - 1), 0);
    EXPECT_EQ(transposed_tensors(graph, all + 20000), 0);
    EXPECT_EQ(transposed_tensors(graph, all - 4 * 32 * 16 * 5 * 5 + 16), 2) << "all but the weight";
    EXPECT_EQ(transposed_tensors(graph, 4 * 32 * 16 * 5 * 5 + 16), 1);
    EXPECT_EQ(transposed_tensors(graph, all + 16 + 4 * 16 * 5 * 5), 3) << "and a table of offsets";
    EXPECT_EQ(transposed_tensors(graph, all + 16 + 3456), 3) << "engine 8 of dgrad on a T4";
    EXPECT_EQ(transposed_tensors(graph, 0), 0);
  }
  for (const OperationGraph& graph : directions(kSecond, kMaps, DType::bfloat16)) {
    EXPECT_EQ(transposed_tensors(graph, 3814400 / 2 + 16), 3) << graph.str();
  }
}

TEST(TransposedTensors, LeaveOutActivationsThatAreTheSameInBothOrders) {
  const auto graph = conv2d_forward_graph(kFirst, false, kImages, DType::float32);
  EXPECT_EQ(transposed_tensors(graph, 5019216), 2) << "x has one channel";
  EXPECT_EQ(transposed_tensors(conv2d_forward_graph(kSecond, false, {1, 16, 2, 2}, DType::float32), 6000), 0)
      << "of small tensors a workspace tells nothing";
  const Conv2d pointwise{.in_channels = 8, .out_channels = 4};
  EXPECT_EQ(transposed_tensors(conv2d_forward_graph(pointwise, false, {5, 8, 1, 1}, DType::float32), 4 * 32),
            1);
  EXPECT_EQ(transposed_tensors(batch_norm_training_graph(kMaps, true, DType::float32), 3814416), 0);
}

TEST(PaddedTensors, AreKnownByAWorkspaceOfWholeVectors) {
  const auto first = conv2d_backward_weight_graph(kFirst, kImages, DType::float32);
  EXPECT_EQ(padded_tensors(first, 1260816), 2) << "x and dw of four channels";
  const Conv2d lenet{.in_channels = 6, .out_channels = 16, .kernel_size = {5, 5}};
  const auto second = conv2d_backward_weight_graph(lenet, {100, 6, 14, 14}, DType::float32);
  EXPECT_EQ(padded_tensors(second, 640016), 2) << "x and dw of eight";
  EXPECT_EQ(padded_tensors(second, 640017), 0);
}

TEST(Launches, AreCountedFromThePlansText) {
  const auto norm = batch_norm_training_graph(kMaps, true, DType::float32);
  const auto pool = pool_forward_graph(MaxPool2d{{2, 2}}, kMaps, DType::float32);
  const std::string one = R"({"engine": {"payload": {"kernels": [{}]}}})";
  const std::string two = R"({"engine": {"payload": {"kernels": [{}, {}]}}})";
  EXPECT_EQ(launches_of(norm, 63752, one), 2) << "its barrier is cleared";
  EXPECT_EQ(launches_of(norm, 0, one), 1);
  EXPECT_EQ(launches_of(pool, 0, one), 1);
  EXPECT_EQ(launches_of(pool, 0, two), 2);
}

TEST(Launches, OfAReadyMadeEngineAreAKernelAndItsCopies) {
  const auto graph = conv2d_backward_data_graph(kSecond, kMaps, DType::float32);
  EXPECT_EQ(launches_of(graph, 0, R"({"engine": {"engineId": 0}})"), 1);
  EXPECT_EQ(launches_of(graph, 3814416, R"({"engine": {"engineId": 74}})"), 4);
  EXPECT_EQ(launches_of(graph, 3814416, "not JSON"), 4);
  EXPECT_EQ(launches_of(graph, 104, R"({"engine": {"engineId": 1}})"), 2) << "something writes the workspace";
}

}  // namespace
}  // namespace convoy::cuda::dnn
