#include "engine/data/elements.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "convoy/error.h"
#include "engine/core/half.h"

namespace convoy {

double element_at(const std::uint8_t* bytes, const NumberType& type) {
  std::uint64_t bits = 0;
  for (std::int64_t i = 0; i < type.bytes; ++i) {
    bits = bits << 8 | bytes[type.big_endian ? i : type.bytes - 1 - i];
  }
  if (type.kind == NumberType::Kind::real) {
    if (type.bytes == 2) return half_to_double(static_cast<std::uint16_t>(bits));
    return type.bytes == 4 ? std::bit_cast<float>(static_cast<std::uint32_t>(bits))
                           : std::bit_cast<double>(bits);
  }
  if (type.kind == NumberType::Kind::truth) return bits != 0 ? 1.0 : 0.0;
  if (type.kind == NumberType::Kind::whole) return static_cast<double>(bits);
  const auto shift = static_cast<unsigned>(64 - 8 * type.bytes);  // brings the sign to its place, and back
  return static_cast<double>(static_cast<std::int64_t>(bits << shift) >> shift);
}

void InputName::fail(const std::string& what) const { throw Error(text + ": " + what); }

std::vector<std::uint8_t> pixels_of(std::vector<std::uint8_t> elements, const NumberType& type,
                                    const InputName& input) {
  if (type.kind == NumberType::Kind::whole && type.bytes == 1) return elements;
  if (type.kind == NumberType::Kind::truth) {
    for (std::uint8_t& element : elements) element = element != 0 ? 255 : 0;
    return elements;
  }
  const auto width = static_cast<std::size_t>(type.bytes);
  const std::size_t count = elements.size() / width;
  bool from_0_to_1 = type.kind == NumberType::Kind::real;
  for (std::size_t i = 0; i < count && from_0_to_1; ++i) {
    const double value = element_at(elements.data() + i * width, type);
    from_0_to_1 = value >= 0.0 && value <= 1.0;
  }
  std::vector<std::uint8_t> pixels(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = element_at(elements.data() + i * width, type);
    const bool fits = value >= 0.0 && value <= 255.0 && (from_0_to_1 || value == std::floor(value));
    if (!fits) {
      input.fail(fmt::format("pixel {} at position {} is no whole number from 0 to 255{}", value, i,
                             type.kind == NumberType::Kind::real ? ", and not all are from 0 to 1" : ""));
    }
    pixels[i] = static_cast<std::uint8_t>(from_0_to_1 ? std::lround(255.0 * value) : std::lround(value));
  }
  return pixels;
}

std::vector<std::uint8_t> labels_of(std::span<const std::uint8_t> elements, const NumberType& type,
                                    std::int64_t columns, const LabelRange& range, const InputName& input) {
  const auto step = static_cast<std::size_t>(type.bytes * columns);
  std::vector<std::uint8_t> labels(elements.size() / step);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double value = element_at(elements.data() + i * step, type);
    if (!(value >= 0.0) || value != std::floor(value)) {
      input.fail(fmt::format("label {} at position {} is no whole number from 0 upwards", value, i));
    }
    const double label = value - static_cast<double>(range.first);
    if (label < 0.0 || label >= static_cast<double>(range.classes)) {
      const std::string wrong =
          range.first == 0 ? fmt::format("not below the {} classes", range.classes)
                           : fmt::format("none of {} to {}", range.first, range.first + range.classes - 1);
      input.fail(fmt::format("label {} at position {} is {}{}", value, i, wrong,
                             range.classes == 256 ? " that a data set may have"
                                                  : "; for IDX files of other classes name --dataset idx"));
    }
    labels[i] = static_cast<std::uint8_t>(label);
  }
  return labels;
}

}  // namespace convoy
