// The elements of IDX files, of which there are six types. All are big-endian.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/data/byte_reader.h"

namespace convoy {

/// The third byte of the magic number.
enum class IdxType : std::uint8_t {
  uint8 = 0x08,
  int8 = 0x09,
  int16 = 0x0b,
  int32 = 0x0c,
  float32 = 0x0d,
  float64 = 0x0e
};

/// Bytes of an element; 0 if that is no type of IDX.
std::int64_t element_bytes(IdxType type);

/// The element at `bytes`, of which there are element_bytes(type). A double holds every value of every type.
double idx_element(const std::uint8_t* bytes, IdxType type);

/// Elements as pixels, see read_idx_pair. Fails through `reader`, which they came from.
std::vector<std::uint8_t> pixels_of(std::vector<std::uint8_t> elements, IdxType type,
                                    const ByteReader& reader);

/// The elements of the first of `columns` columns, as labels below `classes`. Fails through `reader`.
std::vector<std::uint8_t> labels_of(std::span<const std::uint8_t> elements, IdxType type,
                                    std::int64_t columns, std::int64_t classes, const ByteReader& reader);

}  // namespace convoy
