// The gradient of a convolution's weights over one image whose few channels lie in planes of their own, while
// those of the output lie side by side.
#pragma once

#include <cstdint>

namespace convoy::cpu {

struct ImageGradient {
  const float* x;   // [channels, height, width], with the zeros of its padding
  const float* dy;  // [blocks, output_height, output_width, lanes]
  double* sums;     // [blocks lanes / 8, channels, kernel_height, kernel_width, 8]
  std::int64_t channels, height, width;
  std::int64_t blocks, lanes;  // lanes: 8 or 16
  std::int64_t output_height, output_width;
  std::int64_t kernel_height, kernel_width;
  std::int64_t stride[2], dilation[2];
};

/// Adds to each of the sums the products of dy and what its tap met. A few rows of an image, some 256
/// pixels, are summed in floats.
void add_weight_gradients(const ImageGradient& image);

}  // namespace convoy::cpu
