#include "engine/backend/cuda/loading/library_search.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string_view>

namespace convoy {
namespace {

namespace fs = std::filesystem;

// The parts of "a:b", without empty ones.
std::vector<std::string> parts_of(const char* list) {
  std::vector<std::string> parts;
  for (std::string_view rest = list != nullptr ? list : ""; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (end > 0) parts.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return parts;
}

}  // namespace

std::vector<std::string> named_library_folders(const Environment& environment) {
  return parts_of(environment("CONVOY_CUDA_LIBS"));
}

std::vector<std::string> library_patterns(const Environment& environment) {
  std::vector<std::string> patterns = named_library_folders(environment);
  const auto add = [&](const std::string& pattern) {
    if (std::ranges::find(patterns, pattern) == patterns.end()) patterns.push_back(pattern);
  };
  // NVIDIA's Python packages: nvidia/cu13/lib, nvidia/cudnn/lib, and for some a folder a library.
  const auto add_python = [&](const std::string& root) {
    for (const char* packages : {"site", "dist"}) {  // Debian's own Python calls them dist-packages
      add(root + "/lib/python3*/" + packages + "-packages/nvidia/*/lib");
    }
  };
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const char* root = environment(name); root != nullptr && *root != '\0') add_python(root);
  }
  for (const fs::path folder : parts_of(environment("PATH"))) {
    std::error_code ignored;
    if (folder.filename() == "bin" && fs::exists(folder / "python3", ignored)) {
      add_python(folder.parent_path().string());
    }
  }
  if (const char* home = environment("HOME"); home != nullptr && *home != '\0') {
    add_python(std::string(home) + "/.local");
  }
  add_python("/usr/local");
  add_python("/usr");

  std::vector<std::string> toolkits;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* root = environment(name); root != nullptr && *root != '\0') toolkits.emplace_back(root);
  }
  for (const char* root : {"/usr/local/cuda", "/usr/local/cuda-13*", "/opt/cuda"})
    toolkits.emplace_back(root);
  for (const std::string& root : toolkits) {
    for (const char* folder : {"/lib64", "/lib", "/targets/*-linux/lib"}) add(root + folder);
  }
  return patterns;
}

std::string find_library(const std::string& soname, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    glob_t found = {};
    const std::unique_ptr<glob_t, decltype(&globfree)> owner(&found, globfree);
    if (glob((pattern + "/" + soname).c_str(), 0, nullptr, &found) == 0) return found.gl_pathv[0];
  }
  return {};
}

}  // namespace convoy
