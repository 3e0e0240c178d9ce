// Where CUDA's libraries lie when the dynamic loader does not find them by itself: toolkits, and Python's
// packages.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace convoy {

/// The value of an environment variable; null if it is not set.
using Environment = std::function<const char*(const char* name)>;

/// The folders that CONVOY_CUDA_LIBS names ("a:b"). Where it is set, they come before all others.
std::vector<std::string> named_library_folders(const Environment& environment);

/// Patterns of folders (for glob), best first: CONVOY_CUDA_LIBS; the packages nvidia-* of an active virtual
/// environment, of each python3 on PATH, of the user and of the system; then toolkits (CUDA_HOME, CUDA_PATH,
/// /usr/local/cuda).
std::vector<std::string> library_patterns(const Environment& environment);

/// The first file of that name in folders that match; empty if there is none.
std::string find_library(const std::string& soname, const std::vector<std::string>& patterns);

}  // namespace convoy
