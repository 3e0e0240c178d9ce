// What a picture's file claims, against what it can hold. The decoder believes most of it: it takes memory
// for what a header says before it reads on, so a hundred bytes could ask for a gigabyte.
#pragma once

#include <cstdint>
#include <span>

namespace convoy {

/// To be called before the decoder sees the file. Throws Error without the file's name if a PNG's chunk ends
/// behind the file, or a JPEG has a table of more Huffman codes than there are bytes, which stb_image 2.27
/// writes behind its own.
void require_sound(std::span<const unsigned char> file);

/// Throws Error without the file's name if there are no pixels, or if `file` is too short for width x height
/// of them, however well its format packs them.
void require_plausible(std::span<const unsigned char> file, std::int64_t width, std::int64_t height);

}  // namespace convoy
