// cuDNN compiles its runtime-compiled engines (batch norm, pooling) only where it can load a driver.
#pragma once

namespace convoy::cuda {

/// Loads libcuda.so.1 of NVIDIA's driver or, where there is none, the one of no_device_driver.cpp, which
/// knows no GPU. Whoever opens libcuda.so.1 later in this process gets the same. False if neither can be
/// found.
bool load_a_driver();

}  // namespace convoy::cuda
