#include "engine/backend/registry.h"

#include <fmt/format.h>

#include "engine/backend/cpu/cpu.h"
#include "engine/backend/reference/reference.h"
#include "engine/core/error.h"

namespace convoy {
namespace {

constexpr const char* kNoCuda = "no CUDA in this build";

}  // namespace

std::vector<BackendStatus> backend_statuses() {
  const std::string cpu_missing = cpu_backend_missing();
  return {
      {"cuda", false, kNoCuda},
      {"cpu", cpu_missing.empty(), cpu_missing.empty() ? make_cpu_backend()->description() : cpu_missing},
      {"reference", true, make_reference_backend()->description()},
  };
}

BackendChoice make_backend(const std::string& name) {
  if (name == "auto") {
    const std::string missing = cpu_backend_missing();
    if (missing.empty()) return {make_cpu_backend(), fmt::format("cpu, because {}", kNoCuda)};
    return {make_reference_backend(), fmt::format("reference, because {}, and {}", kNoCuda, missing)};
  }
  if (name == "cuda") {
    throw Error(fmt::format("--device cuda: {}; take --device cpu", kNoCuda));
  }
  if (name == "cpu") return {make_cpu_backend(), "cpu, as asked"};
  if (name == "reference") return {make_reference_backend(), "reference, as asked"};
  throw UsageError(fmt::format("unknown device '{}': take auto, cuda, cpu or reference", name));
}

}  // namespace convoy
