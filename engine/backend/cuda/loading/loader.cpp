// Loads libconvoy_cuda.so. First as the dynamic loader finds CUDA's libraries: LD_LIBRARY_PATH, the system's
// folders. If it does not, they are looked for in toolkits and in
// Python's packages and loaded by their files; the loader then takes for a name what is loaded under it.
// cuDNN opens nvrtc by name when it needs it, so that is loaded in the same way.
#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <link.h>

#include <cstdlib>
#include <string_view>

#include "convoy/error.h"
#include "engine/backend/cuda/loading/library_search.h"
#include "engine/backend/cuda/module.h"

namespace convoy {
namespace {

constexpr std::string_view kNotFound = "not found";
constexpr const char* kModuleFile = "libconvoy_cuda.so";

// The libraries that the module cannot do without, and in the last place the one that cuDNN's
// runtime-compiled engines need. Before cuDNN those that it needs itself.
std::vector<CudaLibrary> wanted_libraries() {
  return {{"libcudart.so.13", "the CUDA 13 runtime (a toolkit, or pip install nvidia-cuda-runtime)"},
          {"libcublasLt.so.13", "cuBLAS of CUDA 13 (a toolkit, or pip install nvidia-cublas)"},
          {"libcudnn.so.9", "cuDNN 9 for CUDA 13 (libcudnn9-cuda-13, or pip install nvidia-cudnn-cu13)"},
          {"libnvrtc.so.13",
           "nvrtc of CUDA 13, which compiles cuDNN's engines at run time (a toolkit, or pip install "
           "nvidia-cuda-nvrtc)"}};
}

bool is_required(const CudaLibrary& library) { return !library.soname.starts_with("libnvrtc"); }

std::string file_of(void* handle) {
  const link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr) return {};
  return map->l_name;
}

// What is loaded stays so, and is found by its name from then on.
void load_file(CudaLibrary& library, const std::string& file) {
  if (dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL) != nullptr) {
    library.file = file;
  } else {
    library.problem = fmt::format("{} cannot be loaded: {}", file, dlerror());
  }
}

void load(CudaLibrary& library, const std::vector<std::string>& patterns) {
  if (void* handle = dlopen(library.soname.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
    library.file = file_of(handle);
    return;
  }
  const std::string file = find_library(library.soname, patterns);
  if (!file.empty()) return load_file(library, file);
  library.problem = kNotFound;
}

const char* environment(const char* name) { return std::getenv(name); }

class Loader {
 public:
  Loader() : libraries_(wanted_libraries()) {
    for (CudaLibrary& library : libraries_) {  // as the user asks
      const std::string file = find_library(library.soname, named_library_folders(environment));
      if (!file.empty()) load_file(library, file);
      if (!library.problem.empty() && is_required(library)) problem_ = library.problem;
    }
    void* handle = dlopen(kModuleFile, RTLD_NOW | RTLD_LOCAL);
    const std::vector<std::string> patterns = library_patterns(environment);
    for (CudaLibrary& library : libraries_) {
      if (library.file.empty() && library.problem.empty()) load(library, patterns);
    }
    if (!problem_.empty()) return;  // another than the one that was named is not taken
    if (handle == nullptr) handle = dlopen(kModuleFile, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      problem_ = reason(dlerror());
      return;
    }
    const auto entry = reinterpret_cast<decltype(&convoy_cuda_module)>(dlsym(handle, "convoy_cuda_module"));
    const CudaModule* module = entry != nullptr ? entry() : nullptr;
    if (module == nullptr || std::string(module->version) != CONVOY_MODULE_VERSION) {
      problem_ = fmt::format("{} is of another version of Convoy ({} is wanted): install both again",
                             file_of(handle), CONVOY_MODULE_VERSION);
    } else {
      module_ = module;
    }
  }

  const CudaModule* module() const { return module_; }
  const std::vector<CudaLibrary>& libraries() const { return libraries_; }
  const std::string& problem() const { return problem_; }

 private:
  std::string reason(const char* error) const {
    std::vector<std::string> missing;
    for (const CudaLibrary& library : libraries_) {
      if (library.problem.empty() || !is_required(library)) continue;
      if (library.problem != kNotFound) return library.problem;
      missing.push_back(library.soname);
    }
    if (missing.empty()) return fmt::format("the CUDA module cannot be loaded: {}", error);
    return fmt::format(
        "{} not found: install CUDA 13's libraries and cuDNN 9, or name their folders in "
        "CONVOY_CUDA_LIBS (convoy doctor says where they were looked for)",
        fmt::join(missing, ", "));
  }

  std::vector<CudaLibrary> libraries_;
  const CudaModule* module_ = nullptr;
  std::string problem_;
};

const Loader& loader() {
  static const Loader loaded;
  return loaded;
}

std::string problem() { return loader().problem(); }

void take_none(const GroupPlace&) {}

std::unique_ptr<Backend> refuse(const DeviceOptions&) { throw Error(problem()); }

DevicePeak refuse_peak(std::optional<Precision>) { throw Error(problem()); }

std::unique_ptr<DescribedBackend> refuse_described(const std::string& device, const DeviceOptions&) {
  described_device(device);  // an unknown name is the better message
  throw Error("plans are cuDNN's, which is not loaded: " + problem());
}

std::vector<Finding> nothing_loaded() { return {{"CUDA module", "not loaded", problem()}}; }

Versions refuse_versions() { throw Error(problem()); }

}  // namespace

const CudaModule& cuda_module() {
  static constexpr CudaModule absent = {
      CONVOY_MODULE_VERSION, problem,         take_none,   refuse,
      nothing_loaded,        refuse_versions, refuse_peak, refuse_described};
  return loader().module() != nullptr ? *loader().module() : absent;
}

CudaLibrary load_nccl() {
  CudaLibrary nccl{"libnccl.so.2", "NCCL 2 (libnccl2, or pip install nvidia-nccl-cu13)"};
  const std::string file = find_library(nccl.soname, named_library_folders(environment));
  file.empty() ? load(nccl, library_patterns(environment)) : load_file(nccl, file);
  return nccl;
}

const std::vector<CudaLibrary>& cuda_libraries() { return loader().libraries(); }

std::vector<std::string> cuda_library_places() { return library_patterns(environment); }

}  // namespace convoy
