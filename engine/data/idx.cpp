#include "engine/data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "convoy/error.h"
#include "engine/data/byte_reader.h"

namespace convoy {
namespace {

constexpr std::uint8_t kUnsignedByte = 0x08;  // the type of the elements: third byte of the magic number

using Dimensions = std::vector<std::int64_t>;

/// Reads the magic number 0x0000TTRR (type, rank) and the dimensions, each of which is 1 to 2^32 - 1.
Dimensions read_dimensions(ByteReader& reader, int least_rank, int most_rank) {
  std::array<std::uint8_t, 4> magic{};
  const std::size_t got = reader.read(magic);
  if (got == 0) reader.fail("is empty");
  if (got < magic.size()) reader.fail(fmt::format("truncated: {} bytes are no IDX header", got));
  if (magic[0] != 0 || magic[1] != 0) {
    reader.fail(fmt::format("not an IDX file: begins with {:02x} {:02x}, not 00 00", magic[0], magic[1]));
  }
  if (magic[2] != kUnsignedByte) {
    reader.fail(fmt::format("IDX elements of type 0x{:02x}; only unsigned bytes (0x08) are read", magic[2]));
  }
  const int rank = magic[3];
  if (rank < least_rank || rank > most_rank) {
    reader.fail(most_rank == 1
                    ? fmt::format("an IDX file of {} dimensions where labels (1) belong", rank)
                    : fmt::format("an IDX file of {} dimensions where images (3 or 4) belong", rank));
  }
  Dimensions dimensions;
  for (int axis = 0; axis < rank; ++axis) {
    std::array<std::uint8_t, 4> bytes{};
    if (reader.read(bytes) < bytes.size()) reader.fail("truncated within the IDX header");
    dimensions.push_back(std::int64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
    if (dimensions.back() == 0) reader.fail(fmt::format("dimension {} is 0: there is no data", axis));
  }
  return dimensions;
}

/// Reads all elements. Throws Error if more data follows.
std::vector<std::uint8_t> read_elements(ByteReader& reader, const Dimensions& dimensions) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : dimensions) {
    if (__builtin_mul_overflow(count, dimension, &count)) {
      reader.fail(fmt::format("the dimensions {} overflow", Shape(dimensions).str()));
    }
  }
  std::vector<std::uint8_t> elements = reader.read_exactly(count);
  reader.expect_end();
  return elements;
}

}  // namespace

Dataset read_idx_pair(const std::filesystem::path& images, const std::filesystem::path& labels,
                      std::int64_t classes) {
  ByteReader image_reader(images);
  ByteReader label_reader(labels);
  const Dimensions image_dimensions = read_dimensions(image_reader, 3, 4);
  const Dimensions label_dimensions = read_dimensions(label_reader, 1, 1);
  if (image_dimensions[0] != label_dimensions[0]) {  // before any data is read
    image_reader.fail(fmt::format("{} images, but {} has {} labels", image_dimensions[0], labels.string(),
                                  label_dimensions[0]));
  }

  Dataset dataset;
  dataset.name = images.filename().string();
  dataset.classes = classes;
  dataset.image = image_dimensions.size() == 3
                      ? Shape({1, image_dimensions[1], image_dimensions[2]})
                      : Shape({image_dimensions[1], image_dimensions[2], image_dimensions[3]});
  dataset.labels = read_elements(label_reader, label_dimensions);
  const auto wrong =
      std::find_if(dataset.labels.begin(), dataset.labels.end(), [&](auto l) { return l >= classes; });
  if (wrong != dataset.labels.end()) {
    label_reader.fail(fmt::format("label {} at position {} is not below the {} classes", *wrong,
                                  wrong - dataset.labels.begin(), classes));
  }
  dataset.pixels = read_elements(image_reader, image_dimensions);
  return dataset;
}

}  // namespace convoy
