/// @file
/// Tensors in host memory. Values travel in them between backends, checkpoints and tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "convoy/dtype.h"
#include "convoy/shape.h"

namespace convoy {

/// Elements in row-major order of the logical shape. A double represents exactly every value that a backend
/// stores: float32, bf16, labels, the doubles of the reference, and int64 counters up to 2^53. So this one
/// type serves training, checkpoints and gradient checks.
struct HostTensor {
  Shape shape;
  std::vector<double> values;
  DType dtype = DType::float32;

  bool operator==(const HostTensor&) const = default;
};

/// A tensor of zeros.
inline HostTensor zeros(Shape shape, DType dtype = DType::float32) {
  const auto count = static_cast<std::size_t>(shape.count());
  return {std::move(shape), std::vector<double>(count, 0.0), dtype};
}

/// A model's named tensors, in the order and under the names of PyTorch's `state_dict()`.
using StateDict = std::vector<std::pair<std::string, HostTensor>>;

/// The tensor with that name, or nullptr if there is none.
const HostTensor* find(const StateDict& state, const std::string& name);

}  // namespace convoy
