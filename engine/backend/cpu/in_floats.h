// With --precision bf16: operations that have no bf16 of their own compute on copies in floats.
#pragma once

#include <functional>

#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {

/// The operation that `make` makes of x, if that is of floats. Of bf16 it is made of a copy in floats, to
/// which x is widened; what it puts out is rounded to bf16, and gradients likewise. `device` must outlive it.
OperationPtr in_floats(Device& device, const std::string& what, const Variable& x,
                       const std::function<OperationPtr(const Variable&)>& make);

}  // namespace convoy::cpu
