#include "engine/train/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "convoy/error.h"
#include "engine/backend/backend.h"
#include "engine/backend/muon_shape.h"
#include "engine/model/layer_rules.h"
#include "engine/train/network.h"

namespace convoy {
namespace {

constexpr std::int64_t kFloat = 4;  // bytes

/// What backward reads beside the gradient of the output.
struct BackwardReads {
  std::string_view type;
  bool input = false;
  bool output = false;
  bool index = false;    // a byte for each element of the output, written by forward
  bool product = false;  // the input for the weight's gradient, and the weight for the input's
};

constexpr std::array kBackwardReads = {
    BackwardReads{.type = "Conv2d", .product = true},
    BackwardReads{.type = "Conv2d+ReLU", .output = true, .product = true},
    BackwardReads{.type = "Linear", .product = true},
    BackwardReads{.type = "BatchNorm2d", .input = true},
    BackwardReads{.type = "BatchNorm2d+ReLU", .input = true},  // which tells what the ReLU let pass, too
    BackwardReads{.type = "BatchNorm2d+ReLU+MaxPool2d", .input = true, .index = true},
    BackwardReads{.type = "GroupNorm", .input = true},
    BackwardReads{.type = "ReLU", .output = true},
    BackwardReads{.type = "MaxPool2d", .index = true},
    BackwardReads{.type = "AvgPool2d"},
    BackwardReads{.type = "GlobalAvgPool2d"},
    BackwardReads{.type = "Dropout"},  // draws its mask again
    BackwardReads{.type = "Add"},
    BackwardReads{.type = "Fork"},
    BackwardReads{.type = "CrossEntropy"},
};

const BackwardReads& rule_of(const NamedOperation& operation) {
  const auto* rule = std::ranges::find(kBackwardReads, operation.type, &BackwardReads::type);
  if (rule == kBackwardReads.end()) {
    throw Error(fmt::format("engine/train/roofline.cpp does not know {}", operation.type));
  }
  return *rule;
}

std::int64_t count_of(const TensorPtr& tensor) { return tensor ? tensor->shape().count() : 0; }

bool same_memory(const TensorPtr& a, const TensorPtr& b) {
  return a && b && a->memory_id() == b->memory_id();
}

bool is_loss(const NamedOperation& operation) { return operation.type == "CrossEntropy"; }

/// Of one product of the operation: forward, or one of the two gradients.
std::int64_t product_flops(const NamedOperation& operation) {
  const Shape& weight = operation.parameters.front().value->shape();
  return 2 * count_of(operation.operation->output().value) * fan_in(weight);
}

/// Weights of products are stored as activations are; vectors of parameters are fp32.
void add_parameter(const TensorPtr& tensor, Work& work) {
  if (!tensor) return;
  const bool vector = tensor->shape().rank() == 1;
  (vector ? work.other_bytes : work.activations) += count_of(tensor) * (vector ? kFloat : 1);
}

}  // namespace

Work& Work::operator+=(const Work& other) {
  flops += other.flops;
  activations += other.activations;
  other_bytes += other.other_bytes;
  return *this;
}

double roofline_ms(const Work& work, std::int64_t bytes_of_an_activation, const DevicePeak& peak) {
  const double arithmetic = peak.gflops > 0.0 ? static_cast<double>(work.flops) / peak.gflops : 0.0;
  const double memory = static_cast<double>(work.bytes(bytes_of_an_activation)) / peak.gigabytes_per_second;
  return std::max(arithmetic, memory) / 1e6;
}

Work forward_work(const NamedOperation& operation) {
  const BackwardReads& rule = rule_of(operation);
  Work work;
  if (is_loss(operation)) {  // its forward gives the gradient, too
    const Variable& logits = operation.inputs.front();
    return {.activations = count_of(logits.value) + count_of(logits.grad),
            .other_bytes = kFloat * logits.value->shape()[0]};
  }
  const TensorPtr& output = operation.operation->output().value;
  const auto is_output = [&](const Variable& input) { return same_memory(input.value, output); };
  if (std::ranges::any_of(operation.inputs, is_output)) return work;  // a fork hands its input on
  work.activations = count_of(output);
  for (const Variable& input : operation.inputs) work.activations += count_of(input.value);
  for (const Variable& parameter : operation.parameters) add_parameter(parameter.value, work);
  for (const TensorPtr& statistic : operation.statistics)
    work.other_bytes += 2 * kFloat * count_of(statistic);
  if (rule.product) work.flops = product_flops(operation);
  if (rule.index && operation.operation->output().grad) work.other_bytes += count_of(output);
  return work;
}

Work backward_work(const NamedOperation& operation) {
  const BackwardReads& rule = rule_of(operation);
  const Variable& output = operation.operation->output();
  Work work;
  if (!output.grad || is_loss(operation)) return work;
  work.activations = count_of(output.grad);
  if (operation.type == "Fork") work.activations *= 2;
  for (const Variable& input : operation.inputs) {  // a sum's gradient can be that of its first summand
    if (!same_memory(input.grad, output.grad)) work.activations += count_of(input.grad);
  }
  const Variable& input = operation.inputs.front();
  if (rule.input) work.activations += count_of(input.value);
  if (rule.output) work.activations += count_of(output.value);
  if (rule.index) work.other_bytes += count_of(output.value);
  for (const Variable& parameter : operation.parameters)
    work.other_bytes += kFloat * count_of(parameter.grad);
  if (rule.product) {
    const Variable& weight = operation.parameters.front();
    if (weight.grad) work.activations += count_of(input.value);
    if (input.grad) add_parameter(weight.value, work);
    work.flops = product_flops(operation) * ((weight.grad ? 1 : 0) + (input.grad ? 1 : 0));
  } else if (!operation.parameters.empty()) {
    add_parameter(operation.parameters.front().value, work);  // a norm's scale
  }
  return work;
}

Work batch_work(const Shape& images) {
  constexpr std::int64_t kLabel = 1 + kFloat;  // read as a byte, written as int32
  constexpr std::int64_t kOrder = 4;           // which sample
  return {.activations = images.count(), .other_bytes = images.count() + (kLabel + kOrder) * images[0]};
}

Work optimizer_work(std::span<const TensorPtr> parameters, const Optimizer& optimizer) {
  std::int64_t elements = 0;
  for (const TensorPtr& parameter : parameters) elements += count_of(parameter);
  const std::int64_t states = std::ssize(optimizer.state());
  return {.other_bytes =
              kFloat * elements * (3 + 2 * states)};  // value twice, gradient once, each state twice
}

Work muon_work(std::span<const TensorPtr> matrices, std::int64_t iterations) {
  std::int64_t elements = 0, operations = 0;
  for (const TensorPtr& matrix : matrices) {
    const MuonShape shape(matrix->shape());
    const std::int64_t size = shape.rows * shape.columns, inner = shape.inner();
    elements += size;
    operations += iterations * 2 * inner * (2 * size + inner * inner);  // the three products
  }
  return {.flops = operations, .other_bytes = kFloat * elements * 5};  // gradient, value and momentum twice
}

Work moving_average_work(const MovingAverage& average) {
  std::int64_t elements = 0;
  for (const TensorPtr& mean : average.means()) elements += count_of(mean);
  return {.other_bytes = kFloat * elements * 3};  // value once, mean twice
}

Work clip_work(const ParameterArena& parameters) {
  std::int64_t elements = 0;
  for (const Variable& parameter : parameters.variables()) elements += count_of(parameter.value);
  return {.other_bytes = kFloat * elements};
}

}  // namespace convoy
