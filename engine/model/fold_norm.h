// A batch norm in evaluation, put into the weight and the bias of the layer in front of it.
#pragma once

#include <vector>

#include "convoy/host_tensor.h"

namespace convoy {

/// What a batch norm computes with; each list has a value for each channel.
struct NormValues {
  const std::vector<double>& gamma;
  const std::vector<double>& beta;
  const std::vector<double>& mean;
  const std::vector<double>& variance;
  double eps = 0.0;
};

/// Makes s = gamma / sqrt(variance + eps), weight' = s weight, bias' = beta + (bias - mean) s, in double and
/// not rounded. The first dimension of `weight` is that of the channels. Changes nothing and returns false
/// where a variance is negative or NaN, or where a result would not be a finite float.
bool fold_norm(const NormValues& norm, HostTensor& weight, HostTensor& bias);

}  // namespace convoy
