// Batch norm with the ReLU and the max pool behind it: plainly one after the other.
#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/backend/sequence.h"

namespace convoy::reference {

template <typename T>
OperationPtr ReferenceBackend<T>::make_batch_norm_pool(const BatchNorm2d& layer, const MaxPool2d& pool,
                                                       const Variable& x, const BatchNormTensors& tensors) {
  check_fused_pool(pool);
  return batch_norm_then_pool(*this, layer, pool, x, tensors);
}

template OperationPtr ReferenceBackend<float>::make_batch_norm_pool(const BatchNorm2d&, const MaxPool2d&,
                                                                    const Variable&, const BatchNormTensors&);
template OperationPtr ReferenceBackend<double>::make_batch_norm_pool(const BatchNorm2d&, const MaxPool2d&,
                                                                     const Variable&,
                                                                     const BatchNormTensors&);

}  // namespace convoy::reference
