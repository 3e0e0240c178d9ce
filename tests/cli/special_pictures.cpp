// Files that stb_image_write does not write: with an EXIF orientation, and of 16 bits.
#include <gtest/gtest.h>
#include <stb_image_write.h>
#include <zlib.h>

#include "tests/cli/digit_pictures.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

using namespace std::string_literals;

/// EXIF data with one entry, big-endian ("MM") or not: tag 0x0112, type SHORT, count 1, value.
std::string exif(int orientation, bool big_endian) {
  const char value = static_cast<char>(orientation);
  if (big_endian) return "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + value + "\0\0\0\0\0\0"s;
  return "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + value + "\0\0\0\0\0\0\0"s;
}

/// The stored pixels of a picture that an orientation turns upright, by the table of the standard: which side
/// of the upright picture the first stored row is, and which the first column.
Pixels stored(const Pixels& upright, int orientation) {
  const bool exchanged = orientation >= 5;
  const int height = exchanged ? upright.width : upright.height;
  const int width = exchanged ? upright.height : upright.width;
  Pixels result{width, height, upright.channels, {}};
  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column) {
      const int bottom = upright.height - 1, right = upright.width - 1;
      int y = 0, x = 0;
      switch (orientation) {
        case 1:
          y = row, x = column;
          break;  // top, left
        case 2:
          y = row, x = right - column;
          break;  // top, right
        case 3:
          y = bottom - row, x = right - column;
          break;  // bottom, right
        case 4:
          y = bottom - row, x = column;
          break;  // bottom, left
        case 5:
          y = column, x = row;
          break;  // left, top
        case 6:
          y = column, x = right - row;
          break;  // right, top
        case 7:
          y = bottom - column, x = right - row;
          break;  // right, bottom
        default:
          y = bottom - column, x = row;
          break;  // left, bottom
      }
      for (int c = 0; c < upright.channels; ++c) {
        result.values.push_back(
            upright.values[static_cast<std::size_t>((y * upright.width + x) * upright.channels + c)]);
      }
    }
  }
  return result;
}

std::string big_endian(std::size_t value, int bytes) {
  std::string result;
  for (int i = bytes - 1; i >= 0; --i) result.push_back(static_cast<char>(value >> 8 * i));
  return result;
}

/// A chunk of a PNG file: length, type and content, and their checksum.
std::string png_chunk(const std::string& type, const std::string& content) {
  const std::string data = type + content;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size()));
  return big_endian(content.size(), 4) + data + big_endian(crc, 4);
}

}  // namespace

void write_turned_jpeg(const std::filesystem::path& file, const Pixels& upright, int orientation) {
  const Pixels pixels = stored(upright, orientation);
  std::string jpeg;
  const auto append = [](void* to, void* bytes, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
  };
  ASSERT_NE(0, stbi_write_jpg_to_func(append, &jpeg, pixels.width, pixels.height, pixels.channels,
                                      pixels.values.data(), 90));
  const std::string segment = "Exif\0\0"s + exif(orientation, orientation % 2 == 0);
  // Behind the first segment, as where a camera writes both.
  const auto first = static_cast<std::size_t>(static_cast<unsigned char>(jpeg[4]) << 8 |
                                              static_cast<unsigned char>(jpeg[5]));
  jpeg.insert(4 + first, "\xff\xe1"s + big_endian(2 + segment.size(), 2) + segment);
  write_file(file, jpeg);
}

void write_turned_png(const std::filesystem::path& file, const Pixels& upright, int orientation,
                      const std::string& prefix) {
  write_png(file, stored(upright, orientation));
  std::string png = read_file(file);
  constexpr std::size_t kBehindHeader = 8 + 25;
  png.insert(kBehindHeader, png_chunk("eXIf", prefix + exif(orientation, orientation % 2 == 1)));
  write_file(file, png);
}

void write_png16(const std::filesystem::path& file, int height, int width,
                 const std::vector<std::uint16_t>& values) {
  std::string rows;
  for (int y = 0; y < height; ++y) {
    rows.push_back('\0');  // no filter
    for (int x = 0; x < width; ++x) rows += big_endian(values[static_cast<std::size_t>(y * width + x)], 2);
  }
  auto size = compressBound(rows.size());
  std::string packed(size, '\0');
  ASSERT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(rows.data()), rows.size()),
            Z_OK);
  packed.resize(size);
  const std::string header = big_endian(static_cast<std::size_t>(width), 4) +
                             big_endian(static_cast<std::size_t>(height), 4) + "\x10\0\0\0\0"s;
  write_file(file, "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + png_chunk("IDAT", packed) +
                       png_chunk("IEND", ""));
}

}  // namespace convoy::test
