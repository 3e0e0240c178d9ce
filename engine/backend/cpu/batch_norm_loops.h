// The passes of batch norm and group norm over one plane: `size` floats of one image whose channels repeat
// every 16 (channel_rows.h).
#pragma once

#include <cstdint>

#include "engine/backend/cpu/row.h"

namespace convoy::cpu {

/// sum += x - pivot, squares += (x - pivot)^2
struct DeviationSums {
  const float* x;
  std::int64_t size;
  const Row& pivot;
  DoubleRow& sum;
  DoubleRow& squares;
};
void add_deviations(const DeviationSums& plane);

/// y = (x - mean) scale + shift, behind a ReLU if `relu`. Not folded into x scale + shift', where the two
/// terms cancel if the mean is large.
struct Normalization16 {
  const float* x;
  float* y;
  std::int64_t size;
  const Row& mean;
  const Row& scale;
  const Row& shift;
  bool relu;
};
void normalize(const Normalization16& plane);

/// sum += g, products += g (x - mean), where g is dy, behind a ReLU only where it let y through. That is made
/// again from x: a few operations cost less than reading y.
struct GradientSums {
  const float* x;
  const float* dy;
  std::int64_t size;
  const Row& mean;
  const Row& scale;
  const Row& shift;
  bool relu;
  DoubleRow& sum;
  DoubleRow& products;
};
void add_gradients(const GradientSums& plane);

/// dx = scale g + slope (x - mean) + constant
struct InputGradient {
  const float* x;
  const float* dy;
  float* dx;
  std::int64_t size;
  const Row& mean;
  const Row& scale;
  const Row& shift;
  const Row& slope;
  const Row& constant;
  bool relu;
};
void differentiate(const InputGradient& plane);

}  // namespace convoy::cpu
