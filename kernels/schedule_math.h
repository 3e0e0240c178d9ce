// A step's scalars from its number, the same on the device and on the host.
#pragma once

#include <cmath>

#include "engine/core/host_device.h"
#include "engine/core/step_scalars.h"

namespace convoy {

/// base^exponent by squaring: a few instructions where pow() takes a hundred.
HOST_DEVICE inline double integer_power(double base, std::int64_t exponent) {
  double power = 1.0;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) power *= base;
    base *= base;
  }
  return power;
}

/// cos(pi x) of any x from 0. The device's own cos() keeps a table for huge arguments in local memory.
HOST_DEVICE inline double cosine_of_pi(double x) {
  const double of_wave = x - 2.0 * std::floor(0.5 * x);         // 0 to 2
  const double half = of_wave > 1.0 ? 2.0 - of_wave : of_wave;  // the other half is its mirror image
  const double angle = 3.14159265358979323846 * (0.5 - half);   // whose sine it is; up to pi / 2
  const double square = angle * angle;
  // Taylor's series: the reciprocals of odd factorials. The first term left out is below 1e-17.
  constexpr double kTerms[] = {-1.0 / 6.0,
                               1.0 / 120.0,
                               -1.0 / 5040.0,
                               1.0 / 362880.0,
                               -1.0 / 39916800.0,
                               1.0 / 6227020800.0,
                               -1.0 / 1307674368000.0,
                               1.0 / 355687428096000.0,
                               -1.0 / 121645100408832000.0,
                               1.0 / 51090942171709440000.0};
  double sum = 0.0;
  for (int term = 9; term >= 0; --term) sum = (sum + kTerms[term]) * square;
  return angle + angle * sum;
}

/// The rate and the momentum (or beta1) of one step.
struct StepRates {
  double learning_rate = 0.0;
  double momentum = 0.0;
};

HOST_DEVICE inline StepRates step_rates(const StepTable& table, std::int64_t step) {
  int i = 0;
  while (i + 1 < table.count && table.segments[i + 1].begin <= step) ++i;
  const StepSegment& s = table.segments[i];
  const double count = std::floor((static_cast<double>(step - 1) - s.origin) / s.interval);
  const double x = (count - s.start) / s.span;
  if (s.form == StepSegment::Form::power) {
    return {s.rate_from * integer_power(s.rate_to, static_cast<std::int64_t>(x)), s.momentum_from};
  }
  // How much of `from` is left.
  const double left = s.form == StepSegment::Form::cosine ? 0.5 * (1.0 + cosine_of_pi(x)) : 1.0 - x;
  return {s.rate_to + (s.rate_from - s.rate_to) * left,
          s.momentum_to + (s.momentum_from - s.momentum_to) * left};
}

/// In double: 1 - beta2^step cancels all but 10 bits of a float at step 1. One thread computes it once a
/// step.
HOST_DEVICE inline StepScalars step_scalars(const StepTable& table, std::int64_t step) {
  const StepRates rates = step_rates(table, step);
  const double beta1 = table.adam ? rates.momentum : 0.0;
  const double bias1 = 1.0 - integer_power(beta1, step);
  const double bias2 = 1.0 - integer_power(table.beta2, step);
  return {step,
          static_cast<float>(rates.learning_rate),
          static_cast<float>(rates.learning_rate / bias1),
          static_cast<float>(1.0 / std::sqrt(bias2)),
          table.adam ? 0.0f : static_cast<float>(rates.momentum),
          static_cast<float>(beta1)};
}

}  // namespace convoy
