#include "engine/train/network.h"

#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/core/random_streams.h"

namespace convoy {

namespace {

// A norm that subtracts each channel's own mean subtracts whatever a bias in front of it adds.
bool cancels_bias(const Layer& layer) {
  const auto* group_norm = std::get_if<GroupNorm>(&layer);
  return std::holds_alternative<BatchNorm2d>(layer) ||
         (group_norm && group_norm->num_groups == group_norm->num_channels);
}

}  // namespace

// Walks the layers and makes their operations. Each `add` returns the layer's output.
class NetworkBuilder {
 public:
  NetworkBuilder(Network& network, Backend& backend, const Parameters& parameters, DropoutSource dropout)
      : network_(network), backend_(backend), parameters_(parameters), dropout_(dropout) {}

  Variable sequence(const std::vector<NamedLayer>& layers, const std::string& prefix, Variable x) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::string name = prefix + layers[i].name;
      const Layer* next = i + 1 < layers.size() ? &layers[i + 1].layer : nullptr;
      const Layer* second_next = i + 2 < layers.size() ? &layers[i + 2].layer : nullptr;
      const auto* norm = std::get_if<BatchNorm2d>(&layers[i].layer);
      const auto* pool = second_next ? std::get_if<MaxPool2d>(second_next) : nullptr;
      const auto* conv = std::get_if<Conv2d>(&layers[i].layer);
      if (norm && next && std::holds_alternative<ReLU>(*next)) {
        const bool with_pool = pool && backend_.fuses(*pool);
        x = with_pool ? batch_norm_pool(*norm, *pool, name, x)
                      : batch_norm(*norm, /*fuse_relu=*/true, name, x);
        i += with_pool ? 2 : 1;
      } else if (conv && next && cancels_bias(*next)) {
        x = convolution_before_norm(*conv, name, x);
      } else if (conv && next && std::holds_alternative<ReLU>(*next)) {
        x = convolution(*conv, /*fuse_relu=*/true, name, x, bias_of(name, conv->bias));
        ++i;
      } else {
        x = std::visit([&](const auto& layer) { return add(layer, name, x); }, layers[i].layer);
      }
    }
    return x;
  }

 private:
  Variable keep(NamedOperation operation) {
    network_.operations_.push_back(std::move(operation));
    return network_.operations_.back().operation->output();
  }

  Variable bias_of(const std::string& name, bool present) const {
    return present ? parameters_.at(name + ".bias") : Variable{};
  }

  Variable add(const Conv2d& layer, const std::string& name, const Variable& x) {
    return convolution(layer, /*fuse_relu=*/false, name, x, bias_of(name, layer.bias));
  }

  Variable convolution(const Conv2d& layer, bool fuse_relu, const std::string& name, const Variable& x,
                       const Variable& bias) {
    const Variable& weight = parameters_.at(name + ".weight");
    return keep({.name = name,
                 .type = fuse_relu ? "Conv2d+ReLU" : "Conv2d",
                 .operation = backend_.make_conv2d(layer, fuse_relu, x, weight, bias),
                 .inputs = {x},
                 .parameters = {weight, bias}});
  }

  // The norm cancels the bias, so the bias's gradient is zero. What a backend would sum up instead is
  // rounding noise, which Adam blows up to full steps: it is left at zero, where its arena began.
  Variable convolution_before_norm(const Conv2d& layer, const std::string& name, const Variable& x) {
    return convolution(layer, /*fuse_relu=*/false, name, x, {bias_of(name, layer.bias).value, nullptr});
  }

  Variable batch_norm(const BatchNorm2d& layer, bool fuse_relu, const std::string& name, const Variable& x) {
    const BatchNormTensors tensors = batch_norm_tensors(name);
    return keep_batch_norm(name, fuse_relu ? "BatchNorm2d+ReLU" : "BatchNorm2d",
                           backend_.make_batch_norm(layer, fuse_relu, x, tensors), x, tensors);
  }

  Variable batch_norm_pool(const BatchNorm2d& layer, const MaxPool2d& pool, const std::string& name,
                           const Variable& x) {
    const BatchNormTensors tensors = batch_norm_tensors(name);
    return keep_batch_norm(name, "BatchNorm2d+ReLU+MaxPool2d",
                           backend_.make_batch_norm_pool(layer, pool, x, tensors), x, tensors);
  }

  BatchNormTensors batch_norm_tensors(const std::string& name) const {
    return {.weight = parameters_.at(name + ".weight"),
            .bias = parameters_.at(name + ".bias"),
            .running_mean = parameters_.at(name + ".running_mean").value,
            .running_var = parameters_.at(name + ".running_var").value};
  }

  Variable keep_batch_norm(const std::string& name, std::string type, OperationPtr operation,
                           const Variable& x, const BatchNormTensors& tensors) {
    return keep({.name = name,
                 .type = std::move(type),
                 .operation = std::move(operation),
                 .inputs = {x},
                 .parameters = {tensors.weight, tensors.bias},
                 .statistics = {tensors.running_mean, tensors.running_var}});
  }

  Variable add(const BatchNorm2d& layer, const std::string& name, const Variable& x) {
    return batch_norm(layer, /*fuse_relu=*/false, name, x);
  }

  Variable add(const GroupNorm& layer, const std::string& name, const Variable& x) {
    const Variable weight = layer.affine ? parameters_.at(name + ".weight") : Variable{};
    const Variable bias = bias_of(name, layer.affine);
    return keep({name, "GroupNorm", backend_.make_group_norm(layer, x, weight, bias), {x}, {weight, bias}});
  }

  Variable add(const ReLU&, const std::string& name, const Variable& x) {
    return keep({name, "ReLU", backend_.make_relu(x), {x}});
  }

  Variable add(const MaxPool2d& layer, const std::string& name, const Variable& x) {
    return keep({name, "MaxPool2d", backend_.make_max_pool(layer, x), {x}});
  }

  Variable add(const AvgPool2d& layer, const std::string& name, const Variable& x) {
    return keep({name, "AvgPool2d", backend_.make_avg_pool(layer, x), {x}});
  }

  Variable add(const GlobalAvgPool2d&, const std::string& name, const Variable& x) {
    const Shape& shape = x.value->shape();
    const AvgPool2d whole_plane{.kernel_size = {shape[2], shape[3]}};
    return keep({name, "GlobalAvgPool2d", backend_.make_avg_pool(whole_plane, x), {x}});
  }

  Variable add(const Flatten&, const std::string&, const Variable& x) { return backend_.flatten(x); }

  Variable add(const Linear& layer, const std::string& name, const Variable& x) {
    const Variable& weight = parameters_.at(name + ".weight");
    const Variable bias = bias_of(name, layer.bias);
    return keep({name, "Linear", backend_.make_linear(layer, x, weight, bias), {x}, {weight, bias}});
  }

  Variable add(const Dropout& layer, const std::string& name, const Variable& x) {
    if (!dropout_.counter) throw Error(fmt::format("layer '{}': Dropout needs a step counter", name));
    const Shape& shape = x.value->shape();
    const auto elements_before = static_cast<std::uint64_t>(dropout_.first_row * (shape.count() / shape[0]));
    const RandomStream random{dropout_.seed, random_streams::kDropout + dropouts_++, elements_before};
    return keep({name, "Dropout", backend_.make_dropout(layer, x, random, *dropout_.counter), {x}});
  }

  Variable add(const Residual& layer, const std::string& name, const Variable& x) {
    Variable first = x;
    Variable second = x;
    if (x.grad) {  // two consumers, so two gradients, added on the way back
      auto fork = backend_.make_fork(x);
      second = fork->second();
      first = keep({name + ".fork", "Fork", std::move(fork), {x}});
    }
    const Variable body = sequence(layer.body, name + ".", first);
    const Variable shortcut = sequence(layer.shortcut, name + ".", second);
    return keep({name, "Add", backend_.make_add(body, shortcut), {body, shortcut}});
  }

  Network& network_;
  Backend& backend_;
  const Parameters& parameters_;
  DropoutSource dropout_;
  std::uint32_t dropouts_ = 0;
};

Network::Network(Backend& backend, const Model& model, const Parameters& parameters, const Variable& images,
                 DropoutSource dropout) {
  const Shape& shape = images.value->shape();
  if (shape.rank() != 4 || Shape{shape[1], shape[2], shape[3]} != model.input) {
    throw UsageError(
        fmt::format("model '{}' takes images {}, these are {}", model.name, model.input.str(), shape.str()));
  }
  infer(model, shape[0]);  // finds what does not fit, by name, before any backend sees it
  output_ = NetworkBuilder(*this, backend, parameters, dropout).sequence(model.layers, "", images);
}

void Network::forward(Phase phase) {
  for (const NamedOperation& step : operations_) step.operation->forward(phase);
}

void Network::backward() {
  for (auto step = operations_.rbegin(); step != operations_.rend(); ++step) step->operation->backward();
}

}  // namespace convoy
