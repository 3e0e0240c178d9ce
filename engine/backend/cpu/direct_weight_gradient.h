// The gradients of a convolution's weights and bias by an own loop, for inputs of few channels. oneDNN
// without AVX-512 pads those to a block of eight, and computes mostly with zeros.
#pragma once

#include <vector>

#include "engine/backend/cpu/channel_rows.h"
#include "engine/backend/cpu/device.h"
#include "engine/backend/cpu/weighted.h"

namespace convoy::cpu {

class DirectWeightGradient {
 public:
  /// Whether this is faster than oneDNN for a layer with that gradient of its output: a fixed rule, so that a
  /// machine's bits stay the same. docs/measurements.md has what was measured.
  static bool suits(const WeightedLayer& layer, const CpuTensor& dy);

  /// For a layer that it suits. `dy` is the gradient in front of a fused ReLU.
  DirectWeightGradient(Device& device, const WeightedLayer& layer, std::shared_ptr<CpuTensor> dy);

  /// Writes the gradients that the parameters have.
  void run();

 private:
  void pad_image(std::int64_t image, float* padded) const;
  void add_image(std::int64_t image, std::int64_t part);
  void reduce();

  std::shared_ptr<CpuTensor> dy_, weight_grad_, bias_grad_;
  ChannelRows rows_;  // of dy
  Relaid input_;      // x, plain
  Dims x_dims_, weight_dims_, output_dims_;
  WeightedSpec window_;
  std::int64_t height_, width_;  // of the padded image
  // The images are in as many parts as there were threads when this was made: the number decides the bits,
  // not which thread does what.
  std::int64_t parts_;
  std::vector<std::vector<float>> padded_;                    // an image, one for each part
  std::vector<std::vector<double>> weight_sums_, bias_sums_;  // of each part
};

}  // namespace convoy::cpu
