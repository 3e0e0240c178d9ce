#include "engine/backend/cuda/dnn/libraries.h"

#include <cudnn.h>
#include <dlfcn.h>
#include <fmt/format.h>

namespace convoy::cuda::dnn {

std::string library_version(std::size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::string cudnn_problem() {
  const std::size_t version = cudnnGetVersion();
  if (version >= CONVOY_OLDEST_CUDNN) return {};
  return fmt::format("cuDNN {} is older than {}: install libcudnn9-cuda-13", library_version(version),
                     library_version(CONVOY_OLDEST_CUDNN));
}

std::string load_nvrtc() {
  const std::size_t version = cudnnGetCudartVersion();  // 13020 for CUDA 13.2
  const std::string name = fmt::format("libnvrtc.so.{}", version / 1000);
  if (dlopen(name.c_str(), RTLD_LAZY) != nullptr) return {};
  return fmt::format(
      "{} cannot be loaded, and without it cuDNN has no plan for pooling and batch norm: install "
      "cuda-nvrtc-{}-{} or Python's nvidia-cuda-nvrtc (convoy doctor says where it was looked for)",
      name, version / 1000, version / 10 % 100);
}

}  // namespace convoy::cuda::dnn
