// One NumPy array, which checksums keep from `npz`.
#include "engine/data/npy.h"

#include <algorithm>

#include "convoy/shape.h"
#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = fuzz::Input(data, size).rest();
  const NpySource source{.read =
                             [&](std::span<std::uint8_t> out) {
                               const std::size_t got = std::min(out.size(), rest.size());
                               std::copy_n(rest.begin(), got, out.begin());
                               rest.remove_prefix(got);
                               return got;
                             },
                         .most_bytes = static_cast<std::int64_t>(size),
                         .name = {"array"}};
  NpyArray array;
  // The header, its shape and the elements, and what a message repeats of them.
  if (!fuzz::accepts(size, {.per_byte = 16, .constant = 160 << 10}, [&] { array = read_npy(source); }))
    return 0;
  fuzz::require(std::ssize(array.elements) == Shape(array.shape).count() * array.type.bytes,
                "there are as many elements as the shape says");
  return 0;
}
