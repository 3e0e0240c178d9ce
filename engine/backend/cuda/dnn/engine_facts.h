// What cuDNN's interface does not say of its engines and plans, but their numbers, workspaces and text do.
// Read from cuDNN 9.13 and 9.19 (README.md of engine/backend/cuda/ says how).
#pragma once

#include <cstdint>
#include <string>

#include "engine/backend/cuda/dnn/operation_graph.h"

namespace convoy::cuda::dnn {

/// Whether an engine, by its global index, computes each element of the result by itself, without a tile of
/// shared memory: tens of times slower than what else there is. True of one engine for convolutions of one
/// group; for grouped convolutions, which it was made for, it is as good as others.
bool is_naive(const OperationGraph& graph, std::int64_t engine);

/// Whether an engine transforms tiles of the images (Winograd), which loses bits, though none of its
/// numerical notes says so. Seen by ncu of cuDNN 9.14 on an H200: a weight gradient's engine with tiles of
/// 9x9 for windows of 5x5, whose result was off by 7.5e-4 of the largest. cuDNN plans it only where there is
/// a GPU.
bool is_winograd(const OperationGraph& graph, std::int64_t engine);

/// How many of a convolution's tensors a plan copies into N,C,H,W (an output back again), by the workspace
/// that it wants in bytes: 0 if it computes on N,H,W,C as it is, 1 is the weight as a rule.
std::int64_t transposed_tensors(const OperationGraph& graph, std::int64_t workspace);

/// The same of copies that have more channels, so that each pixel is whole vectors of 16 bytes.
std::int64_t padded_tensors(const OperationGraph& graph, std::int64_t workspace);

/// How many kernels and fills an execution of a plan enqueues: exact where its text lists kernels (compiled
/// at run time), elsewhere at least so many.
std::int64_t launches_of(const OperationGraph& graph, std::int64_t workspace, const std::string& json);

}  // namespace convoy::cuda::dnn
