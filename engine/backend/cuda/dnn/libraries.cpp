#include "engine/backend/cuda/dnn/libraries.h"

#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace convoy::cuda::dnn {
namespace {

/// The folder of the library that `function` is in; empty if the loader cannot say.
std::filesystem::path folder_of(const void* function) {
  Dl_info info{};
  if (dladdr(function, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code ignored;
  return std::filesystem::canonical(info.dli_fname, ignored).parent_path();
}

/// A toolkit has all in one folder; Python's packages have one each, nvidia/cudnn/lib and so on.
std::vector<std::filesystem::path> nvrtc_folders() {
  std::vector<std::filesystem::path> folders;
  for (const void* function : {reinterpret_cast<const void*>(&cudnnGetVersion),
                               reinterpret_cast<const void*>(&cudaRuntimeGetVersion)}) {
    const std::filesystem::path folder = folder_of(function);
    if (folder.empty()) continue;
    const std::filesystem::path packages = folder.parent_path().parent_path();
    for (const auto& place : {folder, packages / "cu13" / "lib", packages / "cuda_nvrtc" / "lib"}) {
      if (std::ranges::find(folders, place) == folders.end()) folders.push_back(place);
    }
  }
  return folders;
}

}  // namespace

std::string library_version(std::size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::string cudnn_problem() {
  const std::size_t version = cudnnGetVersion();
  if (version >= CONVOY_OLDEST_CUDNN) return {};
  return fmt::format("cuDNN {} is older than {}: install libcudnn9-cuda-13", library_version(version),
                     library_version(CONVOY_OLDEST_CUDNN));
}

std::string load_library(const std::string& name, std::span<const std::filesystem::path> folders) {
  if (dlopen(name.c_str(), RTLD_LAZY) != nullptr) return name;
  for (const std::filesystem::path& folder : folders) {
    const std::string file = folder / name;
    if (dlopen(file.c_str(), RTLD_LAZY) != nullptr) return file;
  }
  return {};
}

std::string load_nvrtc() {
  const std::size_t cuda = cudnnGetCudartVersion() / 1000;
  const std::string name = fmt::format("libnvrtc.so.{}", cuda);
  const std::vector<std::filesystem::path> folders = nvrtc_folders();
  if (!load_library(name, folders).empty()) return {};
  std::vector<std::string> places = {"where the loader looks (LD_LIBRARY_PATH, ldconfig -p)"};
  for (const std::filesystem::path& folder : folders) places.push_back(folder.string());
  return fmt::format(
      "{} cannot be loaded, and without it cuDNN has no plan for pooling and batch norm: install "
      "cuda-nvrtc-{} or "
      "Python's nvidia-cuda-nvrtc, and name its folder in LD_LIBRARY_PATH; it was looked for {}",
      name, cuda, fmt::join(places, ", in "));
}

}  // namespace convoy::cuda::dnn
