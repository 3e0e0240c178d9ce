// A safetensors file: its header, which has no checksum, and the tensors behind it.
#include "convoy/safetensors.h"

#include "tests/fuzz/folder.h"
#include "tests/fuzz/state_checks.h"

using namespace convoy;

namespace {

SafetensorsFile saved_and_read(const SafetensorsFile& content) {
  static const fuzz::Folder folder;
  save_safetensors(content.state, folder / "model.safetensors", content.metadata);
  return load_safetensors(folder / "model.safetensors");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  SafetensorsFile content;
  if (!fuzz::accepts(size, fuzz::kStateBound, [&] { content = load_safetensors(file.path()); })) return 0;
  fuzz::require_sound(content.state);
  fuzz::require_survives(content.state, [&](const StateDict& state) {
    const SafetensorsFile again = saved_and_read({state, content.metadata});
    fuzz::require(again.metadata == content.metadata, "the same metadata");
    return again.state;
  });
  return 0;
}
