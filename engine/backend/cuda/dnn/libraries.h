// What cuDNN needs at run time that no linker checks: its own version, and the compiler that it loads.
#pragma once

#include <cstddef>
#include <string>

namespace convoy::cuda::dnn {

/// Why the cuDNN of this process cannot be used, and what to do; empty if it can.
std::string cudnn_problem();

/// Loads the libnvrtc of cuDNN's CUDA version, unless the process has it: ../loading has found it wherever it
/// lies. cuDNN compiles the kernels of pooling and batch norm with it, opens it by its name, and has no plan
/// for them otherwise. Returns what is missing and what to do; empty if it is there. Any thread may call.
std::string load_nvrtc();

/// "9.11.0" of 91100: as cuDNN 9 and cuBLAS encode their versions.
std::string library_version(std::size_t version);

}  // namespace convoy::cuda::dnn
