// The operations of the CPU backend, one file a family. All of them check shapes before anything else and
// throw UsageError; `device` must outlive what they make.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/device.h"
#include "engine/core/error.h"

namespace convoy::cpu {

// weighted.cpp
OperationPtr make_conv2d(Device& device, const Conv2d& layer, bool fuse_relu, const Variable& x,
                         const Variable& weight, const Variable& bias);
OperationPtr make_linear(Device& device, const Linear& layer, const Variable& x, const Variable& weight,
                         const Variable& bias);

// batch_norm.cpp
OperationPtr make_batch_norm(Device& device, const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                             const BatchNormTensors& tensors);

// max_pool.cpp
OperationPtr make_max_pool(Device& device, const MaxPool2d& layer, const Variable& x);

// avg_pool.cpp
OperationPtr make_avg_pool(Device& device, const AvgPool2d& layer, const Variable& x);

// elementwise.cpp
OperationPtr make_relu(Device& device, const Variable& x);
OperationPtr make_add(Device& device, const Variable& a, const Variable& b);
std::unique_ptr<Fork> make_fork(Device& device, const Variable& x);

// dropout.cpp
OperationPtr make_dropout(Device& device, const Dropout& layer, const Variable& x, RandomStream random,
                          const StepCounter& counter);

// cross_entropy.cpp
OperationPtr make_cross_entropy(Device& device, const Variable& logits, const TensorPtr& labels,
                                Metrics& metrics);
std::unique_ptr<Metrics> make_metrics();

// batch.cpp
std::unique_ptr<ResidentDataset> upload(const Dataset& dataset);
OperationPtr make_batch(ResidentDataset& dataset, const TensorPtr& images, const TensorPtr& labels,
                        const AugmentationSource& augmentation);

// adam.cpp
std::unique_ptr<StepCounter> make_counter();
std::unique_ptr<Optimizer> make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                          const OptimizerOptions& options);

/// What ReLU and its gradient let through; as in PyTorch, a NaN, too.
inline bool relu_passes(float value) { return !(value <= 0.0f); }

/// Loops shorter than this run on one thread: waking the others takes longer than the loop.
constexpr std::int64_t kParallelFrom = 16384;

/// oneDNN's "cannot" as a UsageError that names the operation ("Conv2d [1, 3, 8, 8]").
template <typename Make>
Plan planned(const std::string& operation, Make make) {
  try {
    return make();
  } catch (const dnnl::error& error) {
    throw UsageError(operation + ": oneDNN cannot do this: " + error.what());
  }
}

}  // namespace convoy::cpu
