// The passes of batch norm and group norm over one plane: `size` numbers of one image whose channels repeat
// every 16, in rows of 16 that begin `row` apart (channel_rows.h). They lie in memory as floats or as bf16.
#pragma once

#include <cstdint>

#include "engine/backend/cpu/bfloat16.h"
#include "engine/backend/cpu/row.h"

namespace convoy::cpu {

/// sum += x - pivot, squares += (x - pivot)^2
template <typename T>
struct DeviationSums {
  const T* x;
  std::int64_t size;
  std::int64_t row = kRow;
  const Row& pivot;
  DoubleRow& sum;
  DoubleRow& squares;
};
void add_deviations(const DeviationSums<float>& plane);
void add_deviations(const DeviationSums<Bfloat16>& plane);

/// y = (x - mean) scale + shift, behind a ReLU if `relu`. Not folded into x scale + shift', where the two
/// terms cancel if the mean is large.
template <typename T>
struct Normalization16 {
  const T* x;
  T* y;
  std::int64_t size;
  std::int64_t row = kRow;
  const Row& mean;
  const Row& scale;
  const Row& shift;
  bool relu;
};
void normalize(const Normalization16<float>& plane);
void normalize(const Normalization16<Bfloat16>& plane);

/// sum += g, products += g (x - mean), where g is dy, behind a ReLU only where it let y through. That is made
/// again from x: a few operations cost less than reading y.
template <typename T>
struct GradientSums {
  const T* x;
  const T* dy;
  std::int64_t size;
  std::int64_t row = kRow;
  const Row& mean;
  const Row& scale;
  const Row& shift;
  bool relu;
  DoubleRow& sum;
  DoubleRow& products;
};
void add_gradients(const GradientSums<float>& plane);
void add_gradients(const GradientSums<Bfloat16>& plane);

/// dx = scale g + slope (x - mean) + constant
template <typename T>
struct InputGradient {
  const T* x;
  const T* dy;
  T* dx;
  std::int64_t size;
  std::int64_t row = kRow;
  const Row& mean;
  const Row& scale;
  const Row& shift;
  const Row& slope;
  const Row& constant;
  bool relu;
};
void differentiate(const InputGradient<float>& plane);
void differentiate(const InputGradient<Bfloat16>& plane);

}  // namespace convoy::cpu
