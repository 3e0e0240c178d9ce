// The EXIF orientation of a JPEG or PNG.
#include "engine/data/pictures/exif.h"

#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  int orientation = 0;
  fuzz::require(fuzz::accepts(size, {},
                              [&] {
                                orientation = exif_orientation({data, size});
                              }),
                "a broken orientation is none, not an error");
  fuzz::require(orientation >= 1 && orientation <= 8, "an orientation is 1 to 8");
  return 0;
}
