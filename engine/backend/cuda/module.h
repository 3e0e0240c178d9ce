// The CUDA backend as a module, libconvoy_cuda.so: it alone is linked with CUDA's libraries. It is loaded
// when somebody asks for the backend, so that one program runs on machines with and without them, and can say
// which are missing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "engine/backend/cuda/described/described.h"
#include "engine/backend/cuda/finding.h"
#include "engine/backend/device_peak.h"

namespace convoy {

/// What the module offers. It is not unloaded, so what comes from it lives as long as the process.
struct CudaModule {
  const char* version;                           // of Convoy; another version's module is refused
  std::string (*missing)();                      // cuda_backend_missing
  void (*take_device)(const GroupPlace& place);  // take_cuda_device
  std::unique_ptr<Backend> (*make)(const DeviceOptions& options);  // make_cuda_backend
  std::vector<Finding> (*findings)();                              // cuda_findings
  Versions (*versions)();                                          // cuda_versions
  DevicePeak (*measure_peak)(std::optional<Precision> precision);  // measure_cuda_peak
  // make_described_backend
  std::unique_ptr<DescribedBackend> (*make_described)(const std::string& device,
                                                      const DeviceOptions& options);
};

/// One of CUDA's libraries, as it was looked for.
struct CudaLibrary {
  std::string soname;        // "libcudart.so.13"
  std::string need;          // what to install for it
  std::string file = {};     // what was loaded; empty if nothing was
  std::string problem = {};  // "not found", or a file and why it cannot be loaded; empty if it is
};

/// The module, loaded by the first call with CUDA's libraries, wherever they were found. Without them its
/// functions say what is missing. Thread-safe; does not throw.
const CudaModule& cuda_module();

/// Loads NCCL, wherever it is found, for a group of several processes; the module then takes it by its name
/// and says what is wrong.
CudaLibrary load_nccl();

/// CUDA's libraries that cuda_module() looked for. Empty in a build without CUDA.
const std::vector<CudaLibrary>& cuda_libraries();

/// Where CUDA's libraries were looked for, as patterns for a shell.
std::vector<std::string> cuda_library_places();

}  // namespace convoy

/// The only symbol that the module exports.
extern "C" const convoy::CudaModule* convoy_cuda_module();
