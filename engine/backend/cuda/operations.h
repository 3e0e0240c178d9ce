// The CUDA backend's operations, one file each; cuda.cpp strings them together.
#pragma once

#include <memory>

#include "engine/backend/backend.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/context.h"

namespace convoy::cuda {

/// Of a convolution or a linear layer.
struct WeightedTensors {
  Variable x;
  Variable weight;
  Variable bias;  // null without
};

OperationPtr make_conv2d(Context& context, const Conv2d& layer, bool fuse_relu,
                         const WeightedTensors& tensors);
OperationPtr make_batch_norm(Context& context, const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                             const BatchNormTensors& tensors);
OperationPtr make_relu(Context& context, const Variable& x);
OperationPtr make_pool(Context& context, const PoolWindow& window, graph::Pooling pooling, const Variable& x);
OperationPtr make_linear(Context& context, const Linear& layer, const WeightedTensors& tensors);
OperationPtr make_dropout(Context& context, const Dropout& layer, const Variable& x, RandomStream random,
                          const StepCounter& counter);
OperationPtr make_add(Context& context, const Variable& a, const Variable& b);
std::unique_ptr<Fork> make_fork(Context& context, const Variable& x);

// What surrounds the layers in a training step.
OperationPtr make_cross_entropy(Context& context, const Variable& logits, const TensorPtr& labels,
                                Metrics& metrics);
std::unique_ptr<Metrics> make_metrics(Context& context);
std::unique_ptr<StepCounter> make_counter(Context& context);
std::unique_ptr<ResidentDataset> upload(Context& context, const Dataset& dataset);
OperationPtr make_batch(Context& context, ResidentDataset& dataset, const TensorPtr& images,
                        const TensorPtr& labels, const AugmentationSource& augmentation);
std::unique_ptr<Optimizer> make_optimizer(Context& context, ParameterArena& parameters,
                                          const StepCounter& counter, const OptimizerOptions& options);

// Observation.
std::unique_ptr<TimeMark> make_mark(Context& context);
std::unique_ptr<FiniteCheck> make_finite_check(Context& context, const StepCounter& counter);

/// The device-side step number. Throws Error if another backend made the counter.
const std::int64_t* device_step(const StepCounter& counter);

}  // namespace convoy::cuda
