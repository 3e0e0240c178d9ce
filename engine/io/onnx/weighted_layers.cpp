#include "engine/io/onnx/weighted_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "engine/io/onnx/arrange.h"
#include "engine/io/onnx/node.h"
#include "engine/io/onnx/window.h"
#include "engine/model/fold_norm.h"

namespace convoy {
namespace {

/// A constant with a number for each channel.
HostTensor vector_of(const NodeSite& site, int index, std::int64_t channels) {
  HostTensor tensor = site.graph.weight(site.node, index);
  if (tensor.shape != Shape{channels}) {
    fail(site.node, fmt::format("its input {} is {}, not one number for each of {} channels", index,
                                tensor.shape.str(), channels));
  }
  return tensor;
}

/// What ONNX broadcasts to [N, channels], followed by as many dimensions as `inner`: one number, or one for
/// each channel. Nothing for another constant.
std::optional<HostTensor> broadcast(HostTensor tensor, std::int64_t channels, std::size_t inner = 0) {
  const std::size_t rank = tensor.shape.rank();
  if (rank > inner + 2) return std::nullopt;
  if (tensor.values.size() == 1) {
    tensor.values.assign(static_cast<std::size_t>(channels), tensor.values[0]);
  } else if (rank <= inner || tensor.shape.count() != channels ||
             tensor.shape[rank - 1 - inner] != channels) {
    return std::nullopt;
  }
  tensor.shape = Shape{channels};
  return tensor;
}

HostTensor matrix_of(const NodeSite& site, int index) {
  HostTensor tensor = site.graph.weight(site.node, index);
  if (tensor.shape.rank() != 2 || tensor.values.empty()) {
    fail(site.node, fmt::format("its input {} is {}, not a matrix", index, tensor.shape.str()));
  }
  return tensor;
}

/// Multiplies a float32 tensor. The product is rounded once.
void scale(HostTensor& tensor, float factor) {
  if (factor == 1.0f) return;
  for (double& value : tensor.values) value = static_cast<float>(value * factor);
}

/// The weight with a row or a column of zeros more where the padding is uneven, so that the layer's padding,
/// which is the larger end's, gives the same output.
HostTensor widened(const NodeSite& site, Conv2d& layer, const Padding& padding, HostTensor weight) {
  layer.padding = padding.front;
  Extent front = {0, 0};  // how many zeros are in front
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t more = padding.behind[axis] - padding.front[axis];
    if (more == 0) continue;
    if (std::abs(more) != layer.dilation[axis] || layer.kernel_size[axis] < 2) {
      fail(site.node,
           fmt::format("it pads {}; the ends of an axis may differ by one element of a kernel of two or more",
                       words_of(padding)));
    }
    layer.padding[axis] = std::max(padding.front[axis], padding.behind[axis]);
    front[axis] = more > 0 ? 1 : 0;
    ++layer.kernel_size[axis];
  }
  const auto [height, width] = layer.kernel_size;
  const std::int64_t rows = weight.shape[2], columns = weight.shape[3];
  if (rows == height && columns == width) return weight;
  HostTensor wide = zeros({weight.shape[0], weight.shape[1], height, width}, weight.dtype);
  for (std::int64_t i = 0; i < weight.shape.count(); ++i) {
    const std::int64_t plane = i / (rows * columns), row = i / columns % rows + front[0],
                       column = i % columns + front[1];
    wide.values[static_cast<std::size_t>((plane * height + row) * width + column)] =
        weight.values[static_cast<std::size_t>(i)];
  }
  site.note(
      fmt::format("it pads {}; so its kernel is {} x {} here, with zeros at an end, and the padding the "
                  "same at both: the output is the same, and training on trains these zeros, too",
                  words_of(padding), height, width));
  return wide;
}

/// Puts a batch norm of vectors, for which there is no layer, into the Linear in front of it.
std::optional<ReadLayer> fold_into_linear(const NodeSite& site, double eps) {
  auto* const linear = site.before != nullptr ? std::get_if<Linear>(&site.before->layer) : nullptr;
  if (linear == nullptr) {
    fail(site.node,
         "it normalises vectors, for which Convoy has no layer; directly behind a Gemm or MatMul it is read "
         "as a part of that, so place it there or leave it out, and train the model so");
  }
  const std::int64_t features = site.input[1];
  StateDict& tensors = site.before->tensors;
  if (!linear->bias) tensors.emplace_back("bias", zeros({features}, DType::float32));
  linear->bias = true;
  std::vector<HostTensor> of;
  for (int index = 1; index <= 4; ++index) of.push_back(vector_of(site, index, features));
  HostTensor &weight = tensors.front().second, &bias = tensors.back().second;
  if (!fold_norm({of[0].values, of[1].values, of[2].values, of[3].values, eps}, weight, bias)) {
    fail(site.node, "its values make weights that are not finite of those of the layer in front of it");
  }
  for (HostTensor* tensor : {&weight, &bias}) {
    for (double& value : tensor->values) value = static_cast<float>(value);
  }
  site.note(
      fmt::format("it normalises vectors, for which Convoy has no layer; so it is a part of the layer {} "
                  "in front of it, as it is in evaluation, and training on does not normalise there",
                  site.before->name));
  return std::nullopt;
}

std::optional<ReadLayer> linear(const NodeSite& site, HostTensor weight) {
  Linear layer{.in_features = weight.shape[1], .out_features = weight.shape[0], .bias = site.has_input(2)};
  std::optional<ReadLayer> read =
      ReadLayer{.layer = layer, .weight = site.graph.stored_name(site.node.input(1))};
  read->tensors.emplace_back("weight", std::move(weight));
  if (!layer.bias) return read;
  HostTensor given = site.graph.weight(site.node, 2);
  const std::string shape = given.shape.str();
  auto bias = broadcast(std::move(given), layer.out_features);
  if (!bias) {
    fail(site.node,
         fmt::format("its input 2 is {}; a bias of one number, or one for each of {} outputs, can be read",
                     shape, layer.out_features));
  }
  read->tensors.emplace_back("bias", std::move(*bias));
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
  const Padding padding =
      padding_of(site.node, attributes, site.input, {layer.kernel_size, layer.stride, {}, layer.dilation});
  attributes.expect_no_more();
  weight = widened(site, layer, padding, std::move(weight));
  std::optional<ReadLayer> read =
      ReadLayer{.layer = layer, .weight = site.graph.stored_name(site.node.input(1))};
  read->tensors.emplace_back("weight", std::move(weight));
  if (layer.bias) read->tensors.emplace_back("bias", vector_of(site, 2, layer.out_channels));
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
  if (site.input.rank() == 2) return fold_into_linear(site, layer.eps);
  layer.num_features = site.input[1];
  std::optional<ReadLayer> read = ReadLayer{
      .weight = site.graph.is_constant(site.node.input(1)) ? site.graph.stored_name(site.node.input(1)) : ""};
  int index = 0;
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
    read->tensors.emplace_back(name, vector_of(site, ++index, layer.num_features));
  }
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

void add_bias(const NodeSite& site) {
  site.expect_inputs(2, 2);
  Attributes attributes(site.node);
  attributes.ignore("broadcast");  // of old files, as is axis
  attributes.ignore("axis");
  attributes.expect_no_more();
  ReadLayer* const layer = site.before;
  auto* const linear = layer != nullptr ? std::get_if<Linear>(&layer->layer) : nullptr;
  auto* const conv = layer != nullptr ? std::get_if<Conv2d>(&layer->layer) : nullptr;
  if ((linear == nullptr || linear->bias) && (conv == nullptr || conv->bias)) {
    fail(site.node, "it adds a constant that is not the bias of a MatMul, Gemm or Conv in front of it");
  }
  HostTensor bias = site.graph.weight(site.node, site.graph.is_constant(site.node.input(0)) ? 0 : 1);
  const std::int64_t channels = site.input[1];
  const std::string shape = bias.shape.str();
  auto each = broadcast(std::move(bias), channels, site.input.rank() - 2);
  if (!each) {
    fail(site.node,
         fmt::format("it adds a constant {} to {}; one number, or one for each of {} channels, can be read",
                     shape, site.input.str(), channels));
  }
  (linear != nullptr ? linear->bias : conv->bias) = true;
  layer->tensors.emplace_back("bias", std::move(*each));
}

}  // namespace convoy
