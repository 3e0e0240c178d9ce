// The path of the pen that drew a digit.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace convoy::test {

/// A straight piece of a path: y and x of its ends, in pixels of the digit, from 0 to 28.
struct Stroke {
  std::array<double, 2> from, to;
};

/// Thins the digit [28, 28], enlarged four times, to lines, and smooths them. Source: Zhang and Suen, A fast
/// parallel algorithm for thinning digital patterns, 1984.
std::vector<Stroke> skeleton(std::span<const std::uint8_t> digit);

/// The digit at a point between its pixels' centres, 0 to 1; 0 outside.
double ink_at(std::span<const std::uint8_t> digit, double y, double x);

}  // namespace convoy::test
