// The CUDA backend: cuDNN graphs, cuBLAS GEMMs and the project's own kernels on one NVIDIA GPU.
#pragma once

#include <memory>
#include <string>

#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "engine/backend/device_peak.h"

namespace convoy {

/// Compute capability, times 10: what CUDA 13 and Convoy compile for.
inline constexpr int kOldestCudaArchitecture = 75;

/// Empty if this build has CUDA and this machine a GPU that it can use, else why not and what to do.
std::string cuda_backend_missing();

/// Takes the GPU of a process of a group into use, before anything else does. Throws Error if this machine
/// has fewer GPUs than processes; without any, the functions below say so.
void take_cuda_device(const GroupPlace& place);

/// Throws Error if there is none (with the text above), or if that GPU does not know the precision.
std::unique_ptr<Backend> make_cuda_backend(const DeviceOptions& options);

/// What this machine's GPU does, measured within a second: cuBLASLt's product of two square matrices of
/// random numbers in that precision (see DeviceOptions), and a copy in its memory (which reads and writes).
/// Throws what make_cuda_backend throws.
DevicePeak measure_cuda_peak(std::optional<Precision> precision);

}  // namespace convoy
