/// @file
/// The shapes of tensors.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace convoy {

/// The logical shape of a tensor, outermost dimension first: [N, C, H, W] for activations ([N, F] behind a
/// Flatten), [O, I, H, W] for convolution weights, [O, I] for linear weights. It does not say in which order
/// the elements are in memory.
class Shape {
 public:
  Shape() = default;  ///< a scalar: no dimensions, one element
  /// From a list: `Shape{100, 16, 28, 28}`.
  Shape(std::initializer_list<std::int64_t> dimensions) : dimensions_(dimensions) {}
  /// From dimensions that are known at run time.
  explicit Shape(std::vector<std::int64_t> dimensions) : dimensions_(std::move(dimensions)) {}

  /// The number of dimensions; 0 for a scalar.
  std::size_t rank() const { return dimensions_.size(); }
  /// The size along one axis, counted from 0. Throws std::out_of_range for an axis that is not there.
  std::int64_t operator[](std::size_t axis) const { return dimensions_.at(axis); }
  /// The sizes along all axes. The span is valid as long as the shape is.
  std::span<const std::int64_t> dimensions() const { return dimensions_; }

  /// Product of the dimensions; 1 for a scalar. Throws UsageError if a dimension is negative or the product
  /// does not fit in 63 bits.
  std::int64_t count() const;

  /// "[100, 16, 28, 28]", as PyTorch prints it.
  std::string str() const;

  /// Equal in rank and in every dimension.
  bool operator==(const Shape&) const = default;

 private:
  std::vector<std::int64_t> dimensions_;
};

}  // namespace convoy
