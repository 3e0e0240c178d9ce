// A plan on a live GPU, bound to its memory: made once, executed often.
#pragma once

#include <span>
#include <vector>

#include "engine/backend/cuda/dnn/descriptor.h"
#include "engine/backend/cuda/dnn/planner.h"

namespace convoy::cuda::dnn {

/// Device memory for a role (or, for a by-value scalar, a host float that outlives the executable).
struct Binding {
  Role role;
  void* pointer;
};

class Executable {
 public:
  /// Loads the plan on the handle's GPU and binds it. `workspace` has at least plan.info.workspace bytes.
  /// Throws CudnnError, in particular if the plan was made for another kind of GPU.
  Executable(const Plan& plan, cudnnHandle_t handle, std::span<const Binding> bindings, void* workspace);

  /// Enqueues on the handle's stream. Throws CudnnError.
  void execute() const;

 private:
  cudnnHandle_t handle_;
  Descriptor plan_;
  Descriptor variant_pack_;
};

}  // namespace convoy::cuda::dnn
