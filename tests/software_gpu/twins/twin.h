// A kernel's twin: the function of the same name and parameters that g++ compiled from the kernel's source.
#pragma once

#include <driver_types.h>

#include <functional>
#include <string>

namespace software_gpu {

/// Copies the arguments, and returns what one CUDA thread does.
using Binder = std::function<void()> (*)(void* function, void** arguments);

/// Makes kernels with the parameters `type` (what typeid says of the function type) callable.
void offer_binder(const char* type, Binder binder);

/// Ends the program: the twins' own launchers are not for calling. Returns, as far as a compiler can tell.
cudaError_t refuse_launch();

/// Ends the program if `kernel` (a mangled name) has no twin.
std::function<void()> bind_twin(const std::string& kernel, void** arguments);

}  // namespace software_gpu
