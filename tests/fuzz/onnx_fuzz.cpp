// An ONNX file: protobuf's message, all that it holds, and the network that its graph is.
#include "convoy/onnx.h"

#include "convoy/state.h"
#include "engine/io/onnx/contents.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/state_checks.h"

using namespace convoy;

namespace {

/// A message takes 300 bytes in memory where it may take two in the file. A weight may be used 64 times, at 8
/// bytes for each of its elements, which take two bytes or more in the file, and a kernel of 2 x 2 may become
/// one of 3 x 3.
constexpr fuzz::Bound kBound{.per_byte = 1000, .constant = 1 << 20};

OnnxModel saved_and_read(const Model& model, const StateDict& state) {
  static const fuzz::Folder folder;
  save_onnx(model, state, {}, folder / "model.onnx");
  return load_onnx(folder / "model.onnx");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  FileContents contents;
  if (!fuzz::accepts(size, kBound, [&] { contents = onnx_contents_of(file.path()); })) return 0;
  for (const TensorGroup& group : contents.groups) {
    for (const StoredTensor& tensor : group.tensors) fuzz::require_counted(tensor);
  }
  OnnxModel read;
  if (!fuzz::accepts(size, kBound, [&] { read = load_onnx(file.path()); })) return 0;
  fuzz::require_sound(read.state);
  check_state(read.model, read.state, "what was read");
  fuzz::require_survives(read.state, [&](const StateDict& state) {
    const OnnxModel again = saved_and_read(read.model, state);
    fuzz::require(again.model.layers.size() == read.model.layers.size(), "the same layers");
    return again.state;
  });
  return 0;
}
