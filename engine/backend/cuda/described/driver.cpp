#include "engine/backend/cuda/described/driver.h"

#include <dlfcn.h>

#include <filesystem>

namespace convoy::cuda {

bool load_a_driver() {
  if (dlopen("libcuda.so.1", RTLD_NOW)) return true;  // is not closed again
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  if (program.empty()) return false;
  // In the build's folder, and where it is installed. A name that is loaded is found by everybody after that.
  for (const char* folder : {"no_device_driver", "../" CONVOY_PRIVATE_LIBDIR "/no_device_driver"}) {
    if (dlopen((program / folder / "libcuda.so.1").c_str(), RTLD_NOW)) return true;
  }
  return false;
}

}  // namespace convoy::cuda
