// What cuDNN needs at run time that no linker checks: its own version, and the compiler that it loads.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace convoy::cuda::dnn {

/// Why the cuDNN of this process cannot be used, and what to do; empty if it can.
std::string cudnn_problem();

/// Loads the libnvrtc of cuDNN's CUDA version, unless the process has it. cuDNN compiles the kernels of
/// pooling and batch norm with it, and has no plan for them otherwise. cuDNN looks for it by name and beside
/// itself; here it is found beside the CUDA runtime and in Python's packages, too, and what is loaded cuDNN
/// finds. Returns what is missing, where it was looked for and what to do; empty if it is there. Any thread
/// may call.
std::string load_nvrtc();

/// Loads the library `name`, found as dlopen finds it or in one of `folders`. Returns where from, "" if from
/// nowhere. The library stays loaded.
std::string load_library(const std::string& name, std::span<const std::filesystem::path> folders);

/// "9.11.0" of 91100: as cuDNN 9 and cuBLAS encode their versions.
std::string library_version(std::size_t version);

}  // namespace convoy::cuda::dnn
