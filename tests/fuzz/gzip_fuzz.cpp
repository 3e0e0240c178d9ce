// A file that may be compressed with gzip, read as every data file is.
#include <array>
#include <vector>

#include "engine/data/byte_reader.h"
#include "tests/fuzz/fuzz.h"

using namespace convoy;

namespace {

// deflate makes at most 1032 bytes of one, and a growing vector holds three times that while it moves. zlib's
// state and a chunk of 256 KiB come on top.
constexpr fuzz::Bound kBound{.per_byte = 3 * 1032, .constant = 1 << 20};

/// All content, in pieces.
std::vector<std::uint8_t> in_pieces(const std::filesystem::path& file) {
  ByteReader reader(file);
  std::vector<std::uint8_t> content;
  std::array<std::uint8_t, 1000> piece{};
  for (std::size_t got = piece.size(); got == piece.size();) {
    got = reader.read(piece);
    content.insert(content.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
  }
  return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  std::vector<std::uint8_t> content;
  if (!fuzz::accepts(size, kBound, [&] { content = in_pieces(file.path()); })) return 0;
  const bool is_gzip = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
  fuzz::require(is_gzip || content == std::vector<std::uint8_t>(data, data + size),
                "a plain file is its content");

  const auto announced = static_cast<std::int64_t>(content.size());
  fuzz::require(fuzz::accepts(size, kBound,
                              [&] {
                                ByteReader reader(file.path());
                                fuzz::require(reader.read_exactly(announced) == content,
                                              "the content does not depend on how it is read");
                                reader.expect_end();
                              }),
                "what can be read in pieces can be read at once");
  fuzz::require(!fuzz::accepts(size, kBound, [&] { ByteReader(file.path()).read_exactly(announced + 1); }),
                "no more than there is can be read");
  return 0;
}
