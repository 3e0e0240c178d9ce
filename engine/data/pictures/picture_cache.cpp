#include "engine/data/pictures/picture_cache.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <span>
#include <string_view>
#include <system_error>

#include "convoy/error.h"
#include "engine/core/atomic_file.h"
#include "engine/core/file.h"
#include "engine/data/part_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// The file: the magic, the header, the key, the pixels. Numbers are the machine's own: the file does not
// leave it.
constexpr std::string_view kMagic = "convoy pictures\n";
struct Header {
  std::uint64_t version = 1;  // of the bytes that pictures are made into, too
  std::uint64_t key_bytes = 0;
  std::int64_t image[3] = {};
  std::uint64_t pixel_bytes = 0;
  std::uint64_t pixel_crc32 = 0;
};

std::uint64_t crc32_of(std::span<const std::uint8_t> bytes) {
  return crc32_z(crc32_z(0, nullptr, 0), bytes.data(), bytes.size());
}

/// Whether the header's sizes are those of the file, and of `count` images.
bool is_whole(const Header& header, const std::string& key, std::int64_t count, std::int64_t file_bytes) {
  if (header.version != Header().version || header.key_bytes != key.size()) return false;
  std::int64_t pixels = count;
  for (const std::int64_t extent : header.image) {
    if (extent < 1 || __builtin_mul_overflow(pixels, extent, &pixels)) return false;
  }
  const auto before = static_cast<std::int64_t>(kMagic.size() + sizeof header + key.size());
  return header.pixel_bytes == static_cast<std::uint64_t>(pixels) && file_bytes - before == pixels;
}

bool read_into(InputFile& file, void* to, std::size_t bytes) {
  return file.read({static_cast<std::uint8_t*>(to), bytes}) == bytes;
}

}  // namespace

std::optional<DecodedPictures> cached_pictures(const fs::path& path, const std::string& key,
                                               std::int64_t count) {
  std::error_code code;
  if (!fs::is_regular_file(path, code)) return std::nullopt;
  try {
    InputFile file(path);
    std::array<char, kMagic.size()> magic{};
    Header header;
    if (!read_into(file, magic.data(), magic.size()) ||
        std::string_view(magic.data(), magic.size()) != kMagic || !read_into(file, &header, sizeof header) ||
        !is_whole(header, key, count, file.bytes())) {
      return std::nullopt;
    }
    std::string kept(key.size(), '\0');
    if (!read_into(file, kept.data(), kept.size()) || kept != key) return std::nullopt;
    DecodedPictures pictures{Shape({header.image[0], header.image[1], header.image[2]}), {}};
    pictures.pixels.resize(header.pixel_bytes);
    const bool sound = read_into(file, pictures.pixels.data(), pictures.pixels.size()) &&
                       crc32_of(pictures.pixels) == header.pixel_crc32;
    return sound ? std::optional(std::move(pictures)) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void cache_pictures(const fs::path& file, const std::string& key, const DecodedPictures& pictures) {
  create_folder(file.parent_path());
  const Header header{.key_bytes = key.size(),
                      .image = {pictures.image[0], pictures.image[1], pictures.image[2]},
                      .pixel_bytes = pictures.pixels.size(),
                      .pixel_crc32 = crc32_of(pictures.pixels)};
  write_atomically(file, [&](const fs::path& temporary) {
    std::ofstream out(temporary, std::ios::binary);
    out.write(kMagic.data(), kMagic.size());
    out.write(reinterpret_cast<const char*>(&header), sizeof header);
    out.write(key.data(), static_cast<std::streamsize>(key.size()));
    out.write(reinterpret_cast<const char*>(pictures.pixels.data()),
              static_cast<std::streamsize>(pictures.pixels.size()));
    if (!out.flush()) {
      throw Error(fmt::format("cannot write {}: {}", file.string(), std::generic_category().message(errno)));
    }
  });
}

}  // namespace convoy
