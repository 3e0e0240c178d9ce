// Which engines the stand-in has for a graph: as picky as the real library, and with some that a careful
// caller must pass over.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/software_gpu/cudnn/program.h"

namespace software_gpu {

struct Engine {
  std::int64_t index = 0;
  std::int64_t workspace = 0;  // bytes
  std::vector<cudnnBackendNumericalNote_t> numerical;
  std::vector<cudnnBackendBehaviorNote_t> behavior;
  bool finalizes = true;  // heuristics propose some that do not
  bool rounds_to_tf32 = false;
  double milliseconds = 0.0;  // that events say it takes: of SOFTWARE_GPU_ENGINE_MS
};

/// Best first, as heuristics rank them; empty if there is none.
std::vector<Engine> engines_for(const Program& program);

/// What SOFTWARE_GPU_ENGINE_MS=INDEX:MILLISECONDS,... says of the engine; if nothing, 100 for the naive one
/// of convolutions, 0 for others.
double milliseconds_of(std::int64_t engine);

/// The description of this device, which plans carry.
std::string device_json();
/// What is wrong with a description; empty if nothing is.
std::string check_device(const std::string& json);

}  // namespace software_gpu
