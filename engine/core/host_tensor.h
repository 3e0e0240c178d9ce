// Tensors in host memory: what backends are filled from and read into, and what checkpoints hold.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/shape.h"

namespace convoy {

/// Elements in row-major order of the logical shape. They are held as double because it holds every type that
/// a backend stores (float, bf16, labels, the double reference's own) and an int64 counter up to 2^53
/// exactly: one host type serves training, checkpoints and gradient checks.
struct HostTensor {
  Shape shape;
  std::vector<double> values;
  DType dtype = DType::float32;

  bool operator==(const HostTensor&) const = default;
};

/// Zeros of that shape.
inline HostTensor zeros(Shape shape, DType dtype = DType::float32) {
  const auto count = static_cast<std::size_t>(shape.count());
  return {std::move(shape), std::vector<double>(count, 0.0), dtype};
}

/// A model's named tensors, in the order and under the names of PyTorch's `state_dict()`.
using StateDict = std::vector<std::pair<std::string, HostTensor>>;

/// The tensor of that name, or nullptr.
const HostTensor* find(const StateDict& state, const std::string& name);

}  // namespace convoy
