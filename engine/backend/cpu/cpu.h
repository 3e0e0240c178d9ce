// The CPU backend: oneDNN primitives in blocked layouts, threads by OpenMP.
#pragma once

#include <memory>
#include <string>

#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "engine/backend/versions.h"

namespace convoy {

/// Empty if this build has the CPU backend, else why not and what to do.
std::string cpu_backend_missing();

/// Throws Error if this build has none (with the text above), or the CPU lacks bf16; UsageError for tf32.
std::unique_ptr<Backend> make_cpu_backend(const DeviceOptions& options = {});

/// oneDNN's version. Empty if this build has no CPU backend.
Versions cpu_versions();

/// GFLOP/s of oneDNN's product of large matrices in bf16, the best of a few. Only where the CPU has bf16.
double measure_bf16_peak();

/// Binds each OpenMP thread to a processor of its own and bounds how long it spins, unless the environment
/// sets any of that or the number of threads. OpenMP reads the environment when it is loaded, so this starts
/// the program anew, once, with the same arguments; call it first in main. Of several processes that a
/// launcher started on this machine each gets its part of the processors, unbound. Where it cannot, or the
/// build has no CPU backend, it does nothing. README.md has the measurements.
void prepare_cpu_threads(char** argv);

}  // namespace convoy
