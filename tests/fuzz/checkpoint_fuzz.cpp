// A checkpoint: the zip archive, its marks, and all that is within. Checksums keep most mutations out of the
// pickle, which has a target of its own.
#include "convoy/checkpoint.h"

#include "tests/fuzz/folder.h"
#include "tests/fuzz/state_checks.h"

using namespace convoy;

namespace {

StateDict saved_and_read(const StateDict& state) {
  static const fuzz::Folder folder;
  save_checkpoint(state, folder / "model.ckpt");
  return load_checkpoint(folder / "model.ckpt");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  StateDict state;
  // libzip makes room for 65,536 entries at a time, 32 bytes for each, where there are more than the
  // directory says.
  constexpr fuzz::Bound kBound{.per_byte = fuzz::kStateBound.per_byte,
                               .constant = fuzz::kStateBound.constant + (4 << 20)};
  if (!fuzz::accepts(size, kBound, [&] { state = load_checkpoint(file.path()); })) return 0;
  fuzz::require_sound(state);
  fuzz::require_survives(state, saved_and_read);
  return 0;
}
