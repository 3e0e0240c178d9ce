// A pair of IDX files, plain or gzip-compressed: the number of classes less 1 (1 byte), the size of the
// labels' file (2 bytes), the labels' file, the images' file.
#include "engine/data/idx.h"

#include <algorithm>

#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto classes = static_cast<std::int64_t>(input.take_number(1) + 1);
  const fuzz::MemoryFile labels(input.take(input.take_number(2)));
  const fuzz::MemoryFile images(input.rest());
  // deflate makes at most 1032 bytes of one. A file's elements and the pixels or labels made of them are held
  // at a time, and zlib's state and a chunk of 256 KiB for each of the two files.
  constexpr fuzz::Bound kBound{.per_byte = 2 * 1032, .constant = 1 << 20};
  Dataset dataset;
  if (!fuzz::accepts(size, kBound, [&] { dataset = read_idx_pair(images.path(), labels.path(), classes); })) {
    return 0;
  }
  fuzz::require(dataset.count() > 0, "there are images");
  fuzz::require(std::ssize(dataset.pixels) == dataset.count() * dataset.image.count(),
                "there are as many pixels as the shape says");
  fuzz::require(std::ranges::all_of(dataset.labels, [&](std::uint8_t label) { return label < classes; }),
                "every label is a class");
  return 0;
}
