// Stands in for the CPU backend where oneDNN, Highway or OpenMP was not found.
#include "convoy/error.h"
#include "engine/backend/cpu/cpu.h"

namespace convoy {

std::string cpu_backend_missing() {
  return "built without oneDNN, Highway or OpenMP: install libdnnl-dev and libhwy-dev (Debian, Ubuntu) and a "
         "compiler with OpenMP, then configure again";
}

std::unique_ptr<Backend> make_cpu_backend(const DeviceOptions&) {
  throw Error("cpu: " + cpu_backend_missing());
}

Versions cpu_versions() { return {}; }

double measure_bf16_peak() { throw Error("cpu: " + cpu_backend_missing()); }

void prepare_cpu_threads(char**) {}

}  // namespace convoy
