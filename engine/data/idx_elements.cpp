#include "engine/data/idx_elements.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace convoy {

double idx_element(const std::uint8_t* bytes, IdxType type) {
  std::uint64_t bits = 0;
  for (std::int64_t i = 0; i < element_bytes(type); ++i) bits = bits << 8 | bytes[i];
  switch (type) {
    case IdxType::uint8:
      return static_cast<double>(bits);
    case IdxType::int8:
      return static_cast<std::int8_t>(bits);
    case IdxType::int16:
      return static_cast<std::int16_t>(bits);
    case IdxType::int32:
      return static_cast<std::int32_t>(bits);
    case IdxType::float32:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case IdxType::float64:
      return std::bit_cast<double>(bits);
  }
  return 0.0;
}

std::int64_t element_bytes(IdxType type) {
  switch (type) {
    case IdxType::uint8:
    case IdxType::int8:
      return 1;
    case IdxType::int16:
      return 2;
    case IdxType::int32:
    case IdxType::float32:
      return 4;
    case IdxType::float64:
      return 8;
  }
  return 0;
}

std::vector<std::uint8_t> pixels_of(std::vector<std::uint8_t> elements, IdxType type,
                                    const ByteReader& reader) {
  if (type == IdxType::uint8) return elements;
  const auto width = static_cast<std::size_t>(element_bytes(type));
  const std::size_t count = elements.size() / width;
  bool from_0_to_1 = type == IdxType::float32 || type == IdxType::float64;
  for (std::size_t i = 0; i < count && from_0_to_1; ++i) {
    const double value = idx_element(elements.data() + i * width, type);
    from_0_to_1 = value >= 0.0 && value <= 1.0;
  }
  std::vector<std::uint8_t> pixels(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = idx_element(elements.data() + i * width, type);
    const bool fits = value >= 0.0 && value <= 255.0 && (from_0_to_1 || value == std::floor(value));
    if (!fits) {
      reader.fail(fmt::format("pixel {} at position {} is no whole number from 0 to 255{}", value, i,
                              width >= 4 ? ", and not all are from 0 to 1" : ""));
    }
    pixels[i] = static_cast<std::uint8_t>(from_0_to_1 ? std::lround(255.0 * value) : std::lround(value));
  }
  return pixels;
}

std::vector<std::uint8_t> labels_of(std::span<const std::uint8_t> elements, IdxType type,
                                    std::int64_t columns, std::int64_t classes, const ByteReader& reader) {
  const auto step = static_cast<std::size_t>(element_bytes(type) * columns);
  std::vector<std::uint8_t> labels(elements.size() / step);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double value = idx_element(elements.data() + i * step, type);
    if (!(value >= 0.0) || value != std::floor(value)) {
      reader.fail(fmt::format("label {} at position {} is no whole number from 0 upwards", value, i));
    }
    if (value >= static_cast<double>(classes)) {
      reader.fail(fmt::format("label {} at position {} is not below the {} classes{}", value, i, classes,
                              classes == 256 ? " that a data set may have" : ""));
    }
    labels[i] = static_cast<std::uint8_t>(value);
  }
  return labels;
}

}  // namespace convoy
