// One file of CIFAR-10's binary version.
#include "engine/data/cifar.h"

#include <algorithm>

#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  Dataset dataset;
  if (!fuzz::accepts(size, {.per_byte = 2, .constant = 64 << 10},
                     [&] { dataset = read_cifar10({file.path()}); })) {
    return 0;
  }
  fuzz::require(std::ssize(dataset.pixels) == dataset.count() * dataset.image.count(),
                "there are as many pixels as the shape says");
  fuzz::require(std::ranges::all_of(dataset.labels, [](std::uint8_t label) { return label < 10; }),
                "every label is a class");
  return 0;
}
