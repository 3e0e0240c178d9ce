// Reads picture files.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "engine/data/pictures/picture.h"

namespace convoy {

/// Pictures with a side of twice this and more are averaged down on reading, to a longer side above this. So
/// no image is made larger.
constexpr std::size_t kLongestSide = 1000;

/// The bytes of a picture file, and what messages call it.
struct PictureBytes {
  std::string name;
  std::string bytes;
};

/// Throws Error that names the file if it cannot be read.
PictureBytes read_picture_bytes(const std::filesystem::path& file);

/// The same of standard input, which may be a pipe. Throws Error if it cannot be read, or has more bytes than
/// any picture of 64 megapixels.
PictureBytes read_picture_from_standard_input();

/// Decodes PNG, JPEG, BMP, GIF, TGA, PSD or PNM of 8 bits into four channels: red, green and blue, each
/// times the opacity, and the opacity. The picture is upright: its EXIF orientation is applied. 10, 12 or 14
/// bits in the low end of 16 fill the range from 0 to 1. Throws Error that names the file if it is broken,
/// claims more pixels than its bytes can hold, or more than 64 megapixels; for a known format that is not
/// read the message names that.
Picture decode_picture(const PictureBytes& file);

/// Whether a file's name ends as those of the formats that are read: .png, .JPG.
bool has_picture_name(const std::filesystem::path& file);

/// The largest less the smallest value.
float contrast(std::span<const float> values);

/// What differs by less has one colour: JPEG leaves that much of it.
constexpr float kOneColour = 2.5f / 255.0f;

/// Red, green and blue of a picture with opacity: on white, or on black if on white it has one colour.
Picture opaque(const Picture& rgba);

/// Whether red, green and blue differ somewhere.
bool has_colour(const Picture& rgb);

/// The luma of ITU-R BT.601 of a picture whose first channels are red, green and blue.
Picture luma(const Picture& rgb);

}  // namespace convoy
