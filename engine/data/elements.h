// Numbers of any type as pixels and labels: IDX and NumPy files have them in several.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace convoy {

/// How a number lies in a file.
struct NumberType {
  enum class Kind : std::uint8_t { whole, signed_whole, real, truth };
  Kind kind = Kind::whole;
  std::int64_t bytes = 1;  // 1, 2, 4 or 8; of real ones 2, 4 or 8
  bool big_endian = false;
};

/// What is read, as messages call it: a file, or a part of one.
struct InputName {
  std::string text;

  /// Throws Error with the name in front.
  [[noreturn]] void fail(const std::string& what) const;
};

/// The element at `bytes`. A double holds every pixel and label, and tells what is none.
double element_at(const std::uint8_t* bytes, const NumberType& type);

/// Elements as pixels. They must be whole numbers from 0 to 255; real ones may instead all be from 0 to 1,
/// and are then multiplied by 255 and rounded. True is 255.
std::vector<std::uint8_t> pixels_of(std::vector<std::uint8_t> elements, const NumberType& type,
                                    const InputName& input);

/// The labels that a file may have.
struct LabelRange {
  std::int64_t first = 0;
  std::int64_t classes = 0;
};

/// The elements of the first of `columns` columns, as classes counted from 0.
std::vector<std::uint8_t> labels_of(std::span<const std::uint8_t> elements, const NumberType& type,
                                    std::int64_t columns, const LabelRange& range, const InputName& input);

}  // namespace convoy
