// Stands in where ONNX's messages were not found.
#include "convoy/error.h"
#include "convoy/onnx.h"

namespace convoy {
namespace {

[[noreturn]] void refuse() {
  throw Error(
      "this build of Convoy knows no ONNX; install libonnx-dev and libprotobuf-dev, then configure and build "
      "it again");
}

}  // namespace

void save_onnx(const Model& /*model*/, const StateDict& /*state*/,
               const std::vector<std::string>& /*classes*/, const std::filesystem::path& /*file*/,
               const std::function<void(const std::filesystem::path&)>& /*check*/) {
  refuse();
}

OnnxModel load_onnx(const std::filesystem::path& /*file*/) { refuse(); }

}  // namespace convoy
