/// @file
/// Tensors in host memory, and state dicts made of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "convoy/dtype.h"
#include "convoy/shape.h"

namespace convoy {

/// A tensor in host memory. Whatever its element type is, the values are kept as doubles. They represent
/// every float32 and bfloat16 exactly, and integers up to 2^53.
struct HostTensor {
  Shape shape;                   ///< of the logical tensor: an activation is [N, C, H, W]
  std::vector<double> values;    ///< row-major, shape.count() of them
  DType dtype = DType::float32;  ///< the type of the elements on a device and in a checkpoint

  /// Equal in all members; as always, a NaN equals nothing.
  bool operator==(const HostTensor&) const = default;
};

/// A tensor of zeros. Throws UsageError for a shape without a valid element count.
inline HostTensor zeros(Shape shape, DType dtype = DType::float32) {
  const auto count = static_cast<std::size_t>(shape.count());
  return {std::move(shape), std::vector<double>(count, 0.0), dtype};
}

/// A model's named tensors, in the order and under the names of PyTorch's `state_dict()`.
using StateDict = std::vector<std::pair<std::string, HostTensor>>;

/// The tensor with that name, or nullptr if there is none.
const HostTensor* find(const StateDict& state, const std::string& name);

}  // namespace convoy
