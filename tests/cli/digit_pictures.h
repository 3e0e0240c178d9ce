// Pictures of digits as people make them: turned by a camera, with dust, frames, shadows and thin pens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/cli/test_data.h"

namespace convoy::test {

/// A way to make a picture of one of MNIST's digits.
struct PictureKind {
  std::string name;
  /// Writes a picture of the digit [28, 28] beside `stem`, and returns its path. The same `number` gives the
  /// same picture.
  std::function<std::filesystem::path(const std::filesystem::path& stem, std::span<const std::uint8_t> digit,
                                      std::uint32_t number)>
      write;
};

/// The first is the clean one: dark ink on white paper of 200 x 200 pixels.
std::vector<PictureKind> picture_kinds();

/// A grey or colour picture as JPEG or PNG that says, by EXIF, how it is to be turned: 1 to 8. The pixels are
/// stored turned, so that the picture is seen as it is given.
void write_turned_jpeg(const std::filesystem::path& file, const Pixels& upright, int orientation);
/// `prefix` comes before the EXIF data of the PNG, as some programs write a JPEG's.
void write_turned_png(const std::filesystem::path& file, const Pixels& upright, int orientation,
                      const std::string& prefix = "");

/// A grey PNG of 16 bits a pixel.
void write_png16(const std::filesystem::path& file, int height, int width,
                 const std::vector<std::uint16_t>& values);

}  // namespace convoy::test
