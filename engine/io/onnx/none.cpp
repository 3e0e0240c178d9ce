// Stands in where ONNX's messages were not found.
#include <fmt/format.h>

#include "convoy/error.h"
#include "convoy/onnx.h"
#include "engine/io/onnx/contents.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const char* verb, const fs::path& file) {
  throw Error(fmt::format(
      "cannot {} {}: this build of Convoy knows no ONNX; install libonnx-dev and libprotobuf-dev, "
      "then configure and build it again",
      verb, file.string()));
}

}  // namespace

void save_onnx(const Model& /*model*/, const StateDict& /*state*/,
               const std::vector<std::string>& /*classes*/, const fs::path& file,
               const std::function<void(const fs::path&)>& /*check*/) {
  refuse("write", file);
}

OnnxModel load_onnx(const fs::path& file) { refuse("import", file); }

FileContents onnx_contents_of(const fs::path& file) { refuse("read", file); }

}  // namespace convoy
