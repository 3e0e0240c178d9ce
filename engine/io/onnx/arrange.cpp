#include "engine/io/onnx/arrange.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "engine/io/onnx/node.h"

namespace convoy {

using ::onnx::NodeProto;

HostTensor transposed(const HostTensor& matrix) {
  const auto rows = static_cast<std::size_t>(matrix.shape[0]),
             columns = static_cast<std::size_t>(matrix.shape[1]);
  HostTensor result = zeros({matrix.shape[1], matrix.shape[0]}, matrix.dtype);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) result.values[c * rows + r] = matrix.values[r * columns + c];
  }
  return result;
}

HostTensor reshaped(const NodeProto& node, HostTensor tensor, const HostTensor& sizes) {
  constexpr std::size_t kMostDimensions = 8;
  Attributes attributes(node);
  const bool allow_zero = attributes.integer("allowzero", 0) != 0;
  attributes.expect_no_more();
  const auto refuse = [&] {
    fail(node, fmt::format("it makes another number of elements of the constant {}", tensor.shape.str()));
  };
  if (sizes.dtype == DType::float32 || sizes.values.size() > kMostDimensions) refuse();
  const auto count = static_cast<std::int64_t>(tensor.values.size());
  std::vector<std::int64_t> dimensions;
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  dimensions.reserve(kMostDimensions);  // `open` points into it
  for (std::size_t axis = 0; axis < sizes.values.size(); ++axis) {
    auto size = static_cast<std::int64_t>(sizes.values[axis]);
    if (size == 0 && !allow_zero && axis < tensor.shape.rank()) size = tensor.shape[axis];
    dimensions.push_back(size);
    if (size == -1 && open == nullptr) {
      open = &dimensions.back();
    } else if (size < 1 || size > count / known) {
      refuse();
    } else {
      known *= size;
    }
  }
  if (open != nullptr) known *= * open = count / known;
  if (known != count) refuse();
  tensor.shape = Shape(std::move(dimensions));
  return tensor;
}

HostTensor transposed(const NodeProto& node, const HostTensor& tensor) {
  Attributes attributes(node);
  const auto order = attributes.integers("perm").value_or(std::vector<std::int64_t>{1, 0});
  attributes.expect_no_more();
  if (tensor.shape.rank() != 2 || order != std::vector<std::int64_t>{1, 0}) {
    fail(node, fmt::format("it turns the constant {} round; only a matrix can be", tensor.shape.str()));
  }
  return transposed(tensor);
}

}  // namespace convoy
