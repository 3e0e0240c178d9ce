// Decoded pictures in a file, so that the next start need not decode them. The file is Convoy's own, but may
// be damaged: then it is as good as none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convoy/shape.h"

namespace convoy {

struct DecodedPictures {
  Shape image;                       // [C, H, W]
  std::vector<std::uint8_t> pixels;  // [count, C, H, W]
};

/// The `count` pictures that were kept in `file` under the same key. Nothing if there is no such file, or if
/// it is another's, of another key, incomplete or damaged. Throws nothing.
std::optional<DecodedPictures> cached_pictures(const std::filesystem::path& file, const std::string& key,
                                               std::int64_t count);

/// Keeps pictures, in a file that appears whole or not at all. Throws Error.
void cache_pictures(const std::filesystem::path& file, const std::string& key,
                    const DecodedPictures& pictures);

}  // namespace convoy
