// An archive of NumPy arrays as a data set.
#include "engine/data/npz.h"

#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  // deflate makes at most 1032 bytes of one. Elements, the pixels that are made of them, and their planes are
  // held at a time. libzip takes memory for the entries of its directory.
  constexpr fuzz::Bound kBound{.per_byte = 4 * 1032, .constant = 1 << 20};
  DatasetPair pair;
  if (!fuzz::accepts(size, kBound, [&] { pair = read_npz_set(file.path(), {}); })) return 0;
  for (const Dataset* half : {&pair.train, &pair.test}) {
    fuzz::require(half->count() > 0, "there are images");
    fuzz::require(std::ssize(half->pixels) == half->count() * half->image.count(),
                  "there are as many pixels as the shape says");
  }
  return 0;
}
