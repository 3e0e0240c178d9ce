// A table of labelled images, plain or gzip-compressed.
#include "engine/data/csv.h"

#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  // deflate makes at most 1032 bytes of one. Two of them may be a column of the first row, which is held as a
  // string of 32 bytes in a vector that doubles. zlib's state and two chunks are constant.
  constexpr fuzz::Bound kBound{.per_byte = 1032 * 64, .constant = 1 << 20};
  std::optional<Dataset> dataset;
  if (!fuzz::accepts(size, kBound, [&] { dataset = read_csv(file.path(), {}); }) || !dataset) return 0;
  fuzz::require(dataset->count() > 0, "there are images");
  fuzz::require(std::ssize(dataset->pixels) == dataset->count() * dataset->image.count(),
                "there are as many pixels as the shape says");
  return 0;
}
