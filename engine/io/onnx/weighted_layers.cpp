#include "engine/io/onnx/weighted_layers.h"

#include <fmt/format.h>

#include <utility>

#include "engine/io/onnx/arrange.h"
#include "engine/io/onnx/node.h"
#include "engine/io/onnx/window.h"

namespace convoy {
namespace {

/// A constant of one dimension; [1, n] is taken as [n].
HostTensor vector_of(const NodeSite& site, int index) {
  HostTensor tensor = site.graph.weight(site.node, index);
  if (tensor.shape.rank() == 2 && tensor.shape[0] == 1) tensor.shape = Shape{tensor.shape[1]};
  if (tensor.shape.rank() != 1) {
    fail(site.node, fmt::format("its input {} is {}, not a list", index, tensor.shape.str()));
  }
  return tensor;
}

HostTensor matrix_of(const NodeSite& site, int index) {
  HostTensor tensor = site.graph.weight(site.node, index);
  if (tensor.shape.rank() != 2) {
    fail(site.node, fmt::format("its input {} is {}, not a matrix", index, tensor.shape.str()));
  }
  return tensor;
}

/// Multiplies a float32 tensor. The product is rounded once.
void scale(HostTensor& tensor, float factor) {
  if (factor == 1.0f) return;
  for (double& value : tensor.values) value = static_cast<float>(value * factor);
}

std::optional<ReadLayer> linear(const NodeSite& site, HostTensor weight) {
  Linear layer{.in_features = weight.shape[1], .out_features = weight.shape[0], .bias = site.has_input(2)};
  std::optional<ReadLayer> read =
      ReadLayer{.layer = layer, .weight = site.graph.stored_name(site.node.input(1))};
  read->tensors.emplace_back("weight", std::move(weight));
  if (layer.bias) read->tensors.emplace_back("bias", vector_of(site, 2));
  return read;
}

}  // namespace

std::optional<ReadLayer> read_conv(const NodeSite& site) {
  site.expect_inputs(2, 3);
  site.expect_rank(4);
  HostTensor weight = site.graph.weight(site.node, 1);
  if (weight.shape.rank() != 4) {
    fail(site.node,
         fmt::format("its weight is {}; only convolutions of images can be read", weight.shape.str()));
  }
  Attributes attributes(site.node);
  Conv2d layer{.in_channels = site.input[1], .out_channels = weight.shape[0], .bias = site.has_input(2)};
  layer.groups = attributes.integer("group", 1);
  const Extent kernel = {weight.shape[2], weight.shape[3]};
  layer.kernel_size = extent_of(site.node, attributes, "kernel_shape", kernel);
  if (layer.kernel_size != kernel) fail(site.node, "its kernel_shape is not that of its weight");
  layer.stride = extent_of(site.node, attributes, "strides", {1, 1});
  layer.dilation = extent_of(site.node, attributes, "dilations", {1, 1});
  layer.padding =
      padding_of(site.node, attributes, site.input, {layer.kernel_size, layer.stride, {}, layer.dilation});
  attributes.expect_no_more();
  std::optional<ReadLayer> read =
      ReadLayer{.layer = layer, .weight = site.graph.stored_name(site.node.input(1))};
  read->tensors.emplace_back("weight", std::move(weight));
  if (layer.bias) read->tensors.emplace_back("bias", vector_of(site, 2));
  return read;
}

std::optional<ReadLayer> read_batch_norm(const NodeSite& site) {
  site.expect_inputs(5, 5);
  for (int i = 1; i < site.node.output_size(); ++i) {
    if (!site.node.output(i).empty()) {
      fail(site.node,
           "it gives the batch's statistics, as in training; export the model in evaluation: model.eval()");
    }
  }
  Attributes attributes(site.node);
  BatchNorm2d layer;
  layer.eps = attributes.real("epsilon", 1e-5);
  layer.momentum = shortest(static_cast<float>(1.0 - attributes.real("momentum", 0.9)));
  attributes.expect("training_mode", 0);
  attributes.expect("spatial", 1);
  attributes.expect_no_more();
  std::optional<ReadLayer> read = ReadLayer{
      .weight = site.graph.is_constant(site.node.input(1)) ? site.graph.stored_name(site.node.input(1)) : ""};
  int index = 0;
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
    read->tensors.emplace_back(name, vector_of(site, ++index));
  }
  layer.num_features = read->tensors.front().second.shape[0];
  read->layer = layer;
  read->tensors.emplace_back("num_batches_tracked", HostTensor{{}, {0.0}, DType::int64});
  return read;
}

std::optional<ReadLayer> read_gemm(const NodeSite& site) {
  site.expect_inputs(2, 3);
  site.expect_rank(2);
  Attributes attributes(site.node);
  const auto alpha = static_cast<float>(attributes.real("alpha", 1.0));
  const auto beta = static_cast<float>(attributes.real("beta", 1.0));
  attributes.expect("transA", 0);
  const bool by_output = attributes.integer("transB", 0) != 0;
  attributes.ignore("broadcast");  // of old files
  attributes.expect_no_more();
  HostTensor weight = matrix_of(site, 1);
  scale(weight, alpha);
  auto read = linear(site, by_output ? std::move(weight) : transposed(weight));
  if (site.has_input(2)) scale(read->tensors.back().second, beta);
  return read;
}

std::optional<ReadLayer> read_mat_mul(const NodeSite& site) {
  site.expect_inputs(2, 2);
  site.expect_rank(2);
  Attributes(site.node).expect_no_more();
  return linear(site, transposed(matrix_of(site, 1)));
}

void add_bias(const NodeSite& site, ReadLayer* layer) {
  site.expect_inputs(2, 2);
  Attributes attributes(site.node);
  attributes.ignore("broadcast");  // of old files, as is axis
  attributes.ignore("axis");
  attributes.expect_no_more();
  auto* const linear = layer != nullptr ? std::get_if<Linear>(&layer->layer) : nullptr;
  auto* const conv = layer != nullptr ? std::get_if<Conv2d>(&layer->layer) : nullptr;
  if ((linear == nullptr || linear->bias) && (conv == nullptr || conv->bias)) {
    fail(site.node, "it adds a constant that is not the bias of a MatMul, Gemm or Conv in front of it");
  }
  HostTensor bias = site.graph.weight(site.node, site.graph.is_constant(site.node.input(0)) ? 0 : 1);
  const std::int64_t channels = site.input[1];
  const std::size_t inner = site.input.rank() - 2;  // height and width, behind the channels
  const std::size_t rank = bias.shape.rank();
  // [C] of [N, C]; [C, 1, 1] of [N, C, H, W]; either may have a 1 in front.
  const bool fits = bias.shape.count() == channels && rank > inner && rank <= inner + 2 &&
                    bias.shape[rank - 1 - inner] == channels;
  if (!fits) {
    fail(site.node, fmt::format("it adds a constant {} to {}; a bias for each of {} channels can be read",
                                bias.shape.str(), site.input.str(), channels));
  }
  bias.shape = Shape{channels};
  (linear != nullptr ? linear->bias : conv->bias) = true;
  layer->tensors.emplace_back("bias", std::move(bias));
}

}  // namespace convoy
