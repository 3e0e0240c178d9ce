// The operations of the reference, one file each family, for T = float and T = double. All of them validate
// shapes before anything else and throw UsageError; sums are double and are rounded to T once.
#pragma once

#include <memory>

#include "engine/backend/backend.h"
#include "engine/backend/host_state.h"
#include "engine/backend/reference/storage.h"

namespace convoy::reference {

template <typename T>
OperationPtr make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x, const Variable& weight,
                         const Variable& bias);

template <typename T>
OperationPtr make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                             const BatchNormTensors& tensors);

template <typename T>
OperationPtr make_max_pool(const MaxPool2d& layer, const Variable& x);

template <typename T>
OperationPtr make_avg_pool(const AvgPool2d& layer, const Variable& x);

template <typename T>
OperationPtr make_relu(const Variable& x);

template <typename T>
OperationPtr make_dropout(const Dropout& layer, const Variable& x, RandomStream random,
                          const StepCounter& counter);

template <typename T>
OperationPtr make_add(const Variable& a, const Variable& b);

template <typename T>
std::unique_ptr<Fork> make_fork(const Variable& x);

template <typename T>
OperationPtr make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                         const Variable& bias);

template <typename T>
OperationPtr make_cross_entropy(const Variable& logits, const TensorPtr& labels, Metrics& metrics);

std::unique_ptr<ResidentDataset> upload(const Dataset& dataset);

template <typename T>
OperationPtr make_batch(ResidentDataset& dataset, const TensorPtr& images, const TensorPtr& labels,
                        const AugmentationSource& augmentation);

template <typename T>
std::unique_ptr<Optimizer> make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                          const OptimizerOptions& options);

}  // namespace convoy::reference
