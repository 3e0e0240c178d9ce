#include "convoy/device.h"

#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/backend/cpu/cpu.h"
#include "engine/backend/cuda/module.h"
#include "engine/backend/reference/reference.h"
#include "engine/backend/versions.h"

namespace convoy {
namespace {

// A device in words, or why it cannot be had: a backend may fail to start although its libraries are there.
template <typename Make>
BackendStatus status_of(const char* name, const std::string& missing, Make make) {
  if (!missing.empty()) return {name, false, missing};
  try {
    return {name, true, make()->description()};
  } catch (const Error& error) {
    return {name, false, error.what()};
  }
}

}  // namespace

std::string name_of(const Backend& backend) { return backend.name(); }
std::string description_of(const Backend& backend) { return backend.description(); }

std::vector<BackendStatus> backend_statuses() {
  return {
      status_of("cuda", cuda_module().missing(), [] { return cuda_module().make({}); }),
      status_of("cpu", cpu_backend_missing(), [] { return make_cpu_backend(); }),
      status_of("reference", {}, [] { return make_reference_backend(); }),
  };
}

Versions library_versions(const std::string& backend) {
  if (backend == "cuda") return cuda_module().versions();
  return backend == "cpu" ? cpu_versions() : Versions{};
}

BackendChoice make_backend(const std::string& name, const DeviceOptions& options) {
  if (options.group && options.group->size() > 1 && (name == "auto" || name == "cuda")) {
    load_nccl();
    cuda_module().take_device(options.group->place());
  }
  if (name == "auto") {
    const std::string no_cuda = cuda_module().missing();
    if (no_cuda.empty()) return {cuda_module().make(options), "cuda, because there is a usable GPU"};
    const std::string no_cpu = cpu_backend_missing();
    if (no_cpu.empty()) return {make_cpu_backend(options), fmt::format("cpu, because {}", no_cuda)};
    return {make_reference_backend(options), fmt::format("reference, because {}, and {}", no_cuda, no_cpu)};
  }
  if (name == "cuda") {
    const std::string missing = cuda_module().missing();
    if (!missing.empty()) throw Error("cuda: " + missing, Remedy::another_device);
    return {cuda_module().make(options), "cuda, as asked"};
  }
  if (name == "cpu") return {make_cpu_backend(options), "cpu, as asked"};
  if (name == "reference") return {make_reference_backend(options), "reference, as asked"};
  throw UsageError(fmt::format("unknown device '{}': take auto, cuda, cpu or reference", name));
}

}  // namespace convoy
