#include "engine/backend/cuda/dnn/executable.h"

namespace convoy::cuda::dnn {

Executable::Executable(const Plan& plan, cudnnHandle_t handle, std::span<const Binding> bindings,
                       void* workspace)
    : handle_(handle),
      plan_(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR),
      variant_pack_(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
  // Newer headers deprecate the handle in favour of a device's properties. By those it is only tried whether
  // a plan loads at all (Planner::refusal); what is executed is loaded by the handle, as cuDNN's own frontend
  // does where it has one, until the other way has run on a GPU.
  plan_.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle)
      .set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, std::span<const char>(plan.json))
      .finalize();
  std::vector<std::int64_t> ids;
  std::vector<void*> pointers;
  for (const Binding& binding : bindings) {
    ids.push_back(static_cast<std::int64_t>(binding.role));
    pointers.push_back(binding.pointer);
  }
  variant_pack_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const std::int64_t>(ids))
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(pointers))
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
      .finalize();
}

void Executable::execute() const {
  check(cudnnBackendExecute(handle_, plan_.raw(), variant_pack_.raw()), "cudnnBackendExecute");
}

}  // namespace convoy::cuda::dnn
