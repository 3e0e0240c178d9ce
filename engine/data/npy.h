// NumPy's format for one array. Source: numpy.lib.format, versions 1.0 to 3.0.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/data/elements.h"

namespace convoy {

/// An array in C's order, the last axis fastest.
struct NpyArray {
  std::vector<std::int64_t> shape;  // each at least 1
  NumberType type;
  std::vector<std::uint8_t> elements;
};

/// Where an array's bytes come from.
struct NpySource {
  /// Fills the buffer and returns how many bytes; fewer only at the end.
  std::function<std::size_t(std::span<std::uint8_t>)> read;
  std::int64_t most_bytes = 0;  ///< it cannot hold more, however it is packed
  std::int64_t held_bytes = 0;  ///< so many it surely has
  InputName name;
};

/// Reads a whole array. Its header is a Python literal, of which only the three keys that NumPy writes are
/// known; nothing in it is ever evaluated. Fails for anything else: other types than whole and real numbers
/// and truth values, no elements, more or fewer bytes than the shape says.
NpyArray read_npy(const NpySource& source);

}  // namespace convoy
