// The passes of a linear layer of few outputs. Rows of x and of the weights lie in one order, and behind one
// another; x as floats or as bf16.
#pragma once

#include <cstdint>

#include "engine/backend/cpu/bfloat16.h"

namespace convoy::cpu {

/// y = x w^T + bias of a few images.
template <typename T>
struct LinearForward {
  const T* x;         // [images, inputs]
  const float* w;     // [outputs, inputs]
  const float* bias;  // [outputs], or null
  float* y;           // [images, outputs]
  std::int64_t images, inputs, outputs;
};
void multiply_by_weights(const LinearForward<float>& part);
void multiply_by_weights(const LinearForward<Bfloat16>& part);

/// dx = dy w of a few images.
template <typename T>
struct LinearInputGradient {
  const float* dy;  // [images, outputs]
  const float* w;   // [outputs, inputs]
  T* dx;            // [images, inputs]
  std::int64_t images, inputs, outputs;
};
void differentiate_linear(const LinearInputGradient<float>& part);
void differentiate_linear(const LinearInputGradient<Bfloat16>& part);

/// dw = dy^T x of the inputs from `begin` to `end`, over all images.
template <typename T>
struct LinearWeightGradient {
  const float* dy;  // [images, outputs]
  const T* x;       // [images, inputs]
  float* dw;        // [outputs, inputs]
  std::int64_t images, inputs, outputs;
  std::int64_t begin, end;
};
void multiply_by_inputs(const LinearWeightGradient<float>& part);
void multiply_by_inputs(const LinearWeightGradient<Bfloat16>& part);

}  // namespace convoy::cpu
