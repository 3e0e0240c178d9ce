// Batch norm with the ReLU and the max pool behind it.
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/sequence.h"
#include "engine/model/layer_rules.h"

namespace convoy::cuda {

bool CudaBackend::fuses(const MaxPool2d& pool) const {
  return context_.options().fuse.value_or(false) && has_disjoint_windows(pool);
}

OperationPtr CudaBackend::make_batch_norm_pool(const BatchNorm2d& layer, const MaxPool2d& pool,
                                               const Variable& x, const BatchNormTensors& tensors) {
  check_fused_pool(pool);
  OperationPtr norm = make_batch_norm(layer, /*fuse_relu=*/true, x, tensors);
  OperationPtr max_pool = make_max_pool(pool, norm->output());
  return std::make_unique<Sequence>(std::move(norm), std::move(max_pool));
}

}  // namespace convoy::cuda
