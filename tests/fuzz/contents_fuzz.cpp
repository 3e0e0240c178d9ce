// All that a file of tensors holds, as convoy inspect reads it: formats old and new, and values beside the
// tensors.
#include "engine/io/contents.h"

#include "tests/fuzz/state_checks.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  FileContents contents;
  // Beside what a state dict takes: libzip's room for 65,536 entries, and the place of every dict in words.
  constexpr fuzz::Bound kBound{.per_byte = 4 * fuzz::kStateBound.per_byte,
                               .constant = fuzz::kStateBound.constant + (4 << 20)};
  const auto parse = [&] {
    if (!holds_tensors(file.path())) throw Error("it holds no tensors");
    contents = contents_of(file.path());
  };
  if (!fuzz::accepts(size, kBound, parse)) return 0;
  fuzz::require(contents.state <= contents.groups.size(), "the state dict is one of the groups, or none");
  for (const TensorGroup& group : contents.groups) {
    for (const StoredTensor& tensor : group.tensors) fuzz::require_counted(tensor);
  }
  return 0;
}
