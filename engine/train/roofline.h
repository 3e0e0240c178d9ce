// What a part of a training step has to do, whoever does it, and how long a device takes for that at least.
//
// The roofline model (Williams, Waterman, Patterson, "Roofline", CACM 2009): no device is faster than its
// arithmetic, nor than the memory that the operands come from. Every tensor counts once for a pass that reads
// it and once for one that writes it, as if no pass found it in a cache. Where activations are smaller than
// the caches, a measured pass can therefore be faster than its roofline.
#pragma once

#include <cstdint>
#include <span>

#include "convoy/shape.h"
#include "engine/backend/device_peak.h"
#include "engine/backend/step_state.h"

namespace convoy {

struct NamedOperation;  // engine/train/network.h
class ParameterArena;   // engine/backend/backend.h

/// The least that a pass computes and moves.
struct Work {
  std::int64_t flops = 0;  // two per multiply-add of convolutions and linear layers; nothing else counts
  std::int64_t activations = 0;  // elements moved that are stored as activations are, weights of products too
  std::int64_t other_bytes = 0;  // moved: fp32 parameters and gradients, labels, indices

  std::int64_t bytes(std::int64_t of_an_activation) const {
    return activations * of_an_activation + other_bytes;
  }
  Work& operator+=(const Work& other);
};

/// Milliseconds in which `peak` cannot be beaten: the longer of arithmetic (if its peak is known) and memory.
double roofline_ms(const Work& work, std::int64_t bytes_of_an_activation, const DevicePeak& peak);

/// Of an operation's forward in training, and of its backward. Throws Error for a type that it does not know.
Work forward_work(const NamedOperation& operation);
Work backward_work(const NamedOperation& operation);

/// Of the assembly of a batch of images [N, C, H, W].
Work batch_work(const Shape& images);

/// Of a step of the optimizer, by what it remembers of each parameter; without the bf16 copies of parameters,
/// which the CUDA backend writes in bf16.
Work optimizer_work(std::span<const TensorPtr> parameters, const Optimizer& optimizer);

/// Of a step of Muon with that many iterations.
Work muon_work(std::span<const TensorPtr> matrices, std::int64_t iterations);

/// Of an update of the moving average.
Work moving_average_work(const MovingAverage& average);

/// Of the norm of all gradients.
Work clip_work(const ParameterArena& parameters);

}  // namespace convoy
