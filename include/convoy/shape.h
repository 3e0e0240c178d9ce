/// @file
/// The logical shape of a tensor, outermost dimension first: [N, C, H, W] for activations ([N, F] behind a
/// Flatten), [O, I, H, W] for convolution weights, [O, I] for linear weights. A shape says nothing of the
/// order in memory.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace convoy {

class Shape {
 public:
  Shape() = default;  ///< a scalar: no dimensions, one element
  Shape(std::initializer_list<std::int64_t> dimensions) : dimensions_(dimensions) {}
  explicit Shape(std::vector<std::int64_t> dimensions) : dimensions_(std::move(dimensions)) {}

  std::size_t rank() const { return dimensions_.size(); }
  std::int64_t operator[](std::size_t axis) const { return dimensions_.at(axis); }
  std::span<const std::int64_t> dimensions() const { return dimensions_; }

  /// Product of the dimensions; 1 for a scalar. Throws UsageError if a dimension is negative or the product
  /// does not fit in 63 bits.
  std::int64_t count() const;

  /// "[100, 16, 28, 28]", as PyTorch prints it.
  std::string str() const;

  bool operator==(const Shape&) const = default;

 private:
  std::vector<std::int64_t> dimensions_;
};

}  // namespace convoy
