// Where plans are kept unless somebody says otherwise: known to builds without CUDA, too, for their help
// texts.
#include <cstdlib>
#include <string_view>

#include "convoy/device.h"

namespace convoy {
namespace {

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

}  // namespace

std::filesystem::path default_plan_cache() {
  if (const char* folder = environment("CONVOY_CACHE"))
    return std::string_view(folder) == "none" ? "" : folder;
  if (const char* folder = environment("XDG_CACHE_HOME")) return std::filesystem::path(folder) / "convoy";
  if (const char* home = environment("HOME")) return std::filesystem::path(home) / ".cache" / "convoy";
  return {};
}

}  // namespace convoy
