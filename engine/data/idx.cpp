#include "engine/data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "convoy/error.h"
#include "engine/data/byte_reader.h"
#include "engine/data/elements.h"
#include "engine/data/file_kind.h"

namespace convoy {
namespace {

struct Header {
  NumberType type;
  std::vector<std::int64_t> dimensions;  // each 1 to 2^32 - 1
};

constexpr std::size_t kMagic = 4;

/// Says what the file is, as far as its first bytes tell.
[[noreturn]] void fail_as_no_idx(ByteReader& reader, std::span<const std::uint8_t, kMagic> magic) {
  std::array<std::uint8_t, 16> start{};
  std::copy(magic.begin(), magic.end(), start.begin());
  const std::size_t size = kMagic + reader.read(std::span(start).subspan(kMagic));
  const std::string kind = kind_of_file(std::span(start).first(size));
  if (!kind.empty()) reader.fail("not an IDX file: " + kind);
  reader.fail(fmt::format("not an IDX file: begins with {:02x} {:02x}, not 00 00", magic[0], magic[1]));
}

/// Reads the magic number 0x0000TTRR (type, rank) and the dimensions.
Header read_header(ByteReader& reader, int least_rank, int most_rank) {
  std::array<std::uint8_t, kMagic> magic{};
  const std::size_t got = reader.read(magic);
  if (got == 0) reader.fail("is empty");
  if (got < magic.size()) reader.fail(fmt::format("truncated: {} bytes are no IDX header", got));
  if (magic[0] != 0 || magic[1] != 0) fail_as_no_idx(reader, magic);
  const std::optional<NumberType> type = idx_type(magic[2]);
  if (!type) reader.fail(fmt::format("IDX elements of type 0x{:02x}, which there is none of", magic[2]));
  Header header{.type = *type, .dimensions = {}};
  const int rank = magic[3];
  if (rank < least_rank || rank > most_rank) {
    reader.fail(most_rank == 2
                    ? fmt::format("an IDX file of {} dimensions where labels (1 or 2) belong", rank)
                    : fmt::format("an IDX file of {} dimensions where images (3 or 4) belong", rank));
  }
  for (int axis = 0; axis < rank; ++axis) {
    std::array<std::uint8_t, 4> bytes{};
    if (reader.read(bytes) < bytes.size()) reader.fail("truncated within the IDX header");
    header.dimensions.push_back(std::int64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
    if (header.dimensions.back() == 0) reader.fail(fmt::format("dimension {} is 0: there is no data", axis));
  }
  return header;
}

/// Reads the bytes of all elements. Throws Error if more data follows.
std::vector<std::uint8_t> read_elements(ByteReader& reader, const Header& header) {
  std::int64_t bytes = header.type.bytes;
  for (const std::int64_t dimension : header.dimensions) {
    if (__builtin_mul_overflow(bytes, dimension, &bytes)) {
      reader.fail(fmt::format("the dimensions {} overflow", Shape(header.dimensions).str()));
    }
  }
  std::vector<std::uint8_t> elements = reader.read_exactly(bytes);
  reader.expect_end();
  return elements;
}

}  // namespace

std::optional<NumberType> idx_type(std::uint8_t byte) {
  using Kind = NumberType::Kind;
  switch (byte) {
    case 0x08:
      return NumberType{Kind::whole, 1, true};
    case 0x09:
      return NumberType{Kind::signed_whole, 1, true};
    case 0x0b:
      return NumberType{Kind::signed_whole, 2, true};
    case 0x0c:
      return NumberType{Kind::signed_whole, 4, true};
    case 0x0d:
      return NumberType{Kind::real, 4, true};
    case 0x0e:
      return NumberType{Kind::real, 8, true};
    default:
      return std::nullopt;
  }
}

Dataset read_idx_pair(const std::filesystem::path& images, const std::filesystem::path& labels,
                      std::int64_t classes, std::int64_t first_label) {
  ByteReader image_reader(images);
  ByteReader label_reader(labels);
  const Header image_header = read_header(image_reader, 3, 4);
  const Header label_header = read_header(label_reader, 1, 2);
  const std::vector<std::int64_t>& sizes = image_header.dimensions;
  if (sizes[0] != label_header.dimensions[0]) {  // before any data is read
    image_reader.fail(fmt::format("{} images, but {} has {} labels", sizes[0], labels.string(),
                                  label_header.dimensions[0]));
  }

  Dataset dataset;
  dataset.name = images.filename().string();
  dataset.classes = classes;
  dataset.image = sizes.size() == 3 ? Shape({1, sizes[1], sizes[2]}) : Shape({sizes[1], sizes[2], sizes[3]});
  const std::int64_t columns = label_header.dimensions.size() == 2 ? label_header.dimensions[1] : 1;
  dataset.labels = labels_of(read_elements(label_reader, label_header), label_header.type, columns,
                             {first_label, classes}, {labels.string()});
  dataset.pixels = pixels_of(read_elements(image_reader, image_header), image_header.type, {images.string()});
  return dataset;
}

}  // namespace convoy
