// Where a test finds what lies outside its program, without a path of the machine that built it.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace convoy::test {

/// What the environment variable names, else `relative` to the folder of the running program.
inline std::filesystem::path path_of(const char* variable, const char* relative) {
  if (const char* named = std::getenv(variable); named != nullptr && *named != '\0') return named;
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / relative).lexically_normal();
}

}  // namespace convoy::test
