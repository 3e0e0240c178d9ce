// The state dict of the classic ConvNet, built by hand, with values that Python can compute as well.
#pragma once

#include <string>

#include "convoy/host_tensor.h"

namespace convoy {

/// Element i is ((37 i + 11 k) mod 257 - 128) / 64: exact in every floating-point type down to bfloat16.
inline HostTensor ramp(Shape shape, int k) {
  HostTensor tensor = zeros(std::move(shape));
  std::int64_t i = 0;
  for (double& value : tensor.values) value = static_cast<double>((37 * i++ + 11 * k) % 257 - 128) / 64.0;
  return tensor;
}

/// Tensor k is ramp(k), a counter is 600 + k.
inline StateDict convnet_state() {
  StateDict state;
  const auto add = [&](std::string name, Shape shape) {
    HostTensor tensor = ramp(std::move(shape), static_cast<int>(state.size()));
    state.emplace_back(std::move(name), std::move(tensor));
  };
  const auto add_layer = [&](const std::string& layer, std::int64_t inputs, std::int64_t channels) {
    add(layer + ".0.weight", {channels, inputs, 5, 5});
    add(layer + ".0.bias", {channels});
    for (const char* name : {".1.weight", ".1.bias", ".1.running_mean", ".1.running_var"})
      add(layer + name, {channels});
    const double counter = 600.0 + static_cast<double>(state.size());
    state.emplace_back(layer + ".1.num_batches_tracked", HostTensor{Shape{}, {counter}, DType::int64});
  };
  add_layer("layer1", 1, 16);
  add_layer("layer2", 16, 32);
  add("fc.weight", {10, 7 * 7 * 32});
  add("fc.bias", {10});
  return state;
}

}  // namespace convoy
