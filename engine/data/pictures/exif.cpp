#include "engine/data/pictures/exif.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace convoy {
namespace {

using Bytes = std::span<const unsigned char>;

constexpr int kUpright = 1;

bool begins(Bytes bytes, std::string_view with) {
  return bytes.size() >= with.size() &&
         std::equal(with.begin(), with.end(), bytes.begin(),
                    [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; });
}

/// What is left from `offset` on; empty if that is behind the end.
Bytes from(Bytes bytes, std::size_t offset) {
  return offset < bytes.size() ? bytes.subspan(offset) : Bytes();
}

/// An unsigned number of `size` bytes at `offset`; 0 if it is not all there.
std::uint32_t number(Bytes bytes, std::size_t offset, std::size_t size, bool big_endian) {
  const Bytes rest = from(bytes, offset);
  if (rest.size() < size) return 0;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | rest[big_endian ? i : size - 1 - i];
  return value;
}

/// The orientation in a TIFF header, which is what EXIF data begin with.
int of_tiff(Bytes tiff) {
  constexpr std::uint32_t kOrientation = 0x0112;
  constexpr std::size_t kEntry = 12;  // bytes: tag, type, count, value
  const bool big = begins(tiff, std::string_view("MM\0*", 4));
  if (!big && !begins(tiff, std::string_view("II*\0", 4))) return kUpright;
  const std::size_t directory = number(tiff, 4, 4, big);
  const std::uint32_t entries = number(tiff, directory, 2, big);
  for (std::uint32_t i = 0; i < entries; ++i) {
    const Bytes entry = from(tiff, directory + 2 + i * kEntry);
    if (entry.size() < kEntry) break;
    if (number(entry, 0, 2, big) != kOrientation) continue;
    const bool is_long = number(entry, 2, 2, big) == 4;  // a SHORT by the standard, but not by every program
    const std::uint32_t value = number(entry, 8, is_long ? 4 : 2, big);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : kUpright;
  }
  return kUpright;
}

constexpr std::string_view kExif("Exif\0\0", 6);  // before the TIFF header in a JPEG

int of_jpeg(Bytes file) {
  std::size_t at = 2;  // behind the marker SOI
  while (at + 4 <= file.size() && file[at] == 0xff) {
    const unsigned char marker = file[at + 1];
    if (marker == 0xff) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) break;  // the image data, or the end
    const std::size_t length = number(file, at + 2, 2, true);
    if (length < 2) break;
    const Bytes segment = file.subspan(at + 4, std::min(length - 2, file.size() - at - 4));
    if (marker == 0xe1 && begins(segment, kExif)) return of_tiff(segment.subspan(kExif.size()));
    at += 2 + length;
  }
  return kUpright;
}

int of_png(Bytes file) {
  std::size_t at = 8;  // behind the signature
  while (at + 12 <= file.size()) {
    const std::size_t length = number(file, at, 4, true);
    const Bytes type = file.subspan(at + 4);
    if (begins(type, "eXIf")) {
      // The chunk is the TIFF header, but some programs copy a JPEG's segment whole.
      const Bytes chunk = file.subspan(at + 8, std::min(length, file.size() - at - 8));
      return of_tiff(begins(chunk, kExif) ? chunk.subspan(kExif.size()) : chunk);
    }
    if (begins(type, "IEND")) break;
    at += 12 + length;
  }
  return kUpright;
}

}  // namespace

int exif_orientation(Bytes file) {
  if (begins(file, "\xff\xd8")) return of_jpeg(file);
  if (begins(file, "\x89PNG\r\n\x1a\n")) return of_png(file);
  return kUpright;
}

}  // namespace convoy
