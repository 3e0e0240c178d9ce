// The names of the backends that this build and this machine can run, for tests that make theirs by name.
#pragma once

#include <string>
#include <vector>

#include "convoy/device.h"

namespace convoy {

inline std::vector<std::string> usable_backends() {
  std::vector<std::string> names;
  for (const BackendStatus& status : backend_statuses()) {
    if (status.usable) names.push_back(status.name);
  }
  return names;
}

/// The backend of that name in strict fp32, whatever CUDA's default on this GPU is.
inline BackendChoice make_exact_backend(const std::string& name, DeviceOptions options = {}) {
  options.precision = Precision::fp32;
  return make_backend(name, options);
}

}  // namespace convoy
