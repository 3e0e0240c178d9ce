// Muon's arithmetic for one parameter, the same on the device and on the host. The matrix products between
// its two halves are the libraries'.
#pragma once

#include "engine/core/host_device.h"

namespace convoy {

/// Coefficients of the polynomial whose iteration brings singular values near 1 (Jordan et al., 2024):
/// X <- a X + (b G + c G G) X with G = X X^T.
constexpr float kNewtonSchulzA = 3.4445f, kNewtonSchulzB = -4.7750f, kNewtonSchulzC = 2.0315f;

/// Below which the norm of an update counts as that, PyTorch's eps.
constexpr float kMuonEpsilon = 1e-7f;

/// Moves the momentum buffer and returns what is to be orthogonalised.
HOST_DEVICE inline float muon_direction(float gradient, float& buffer, float momentum, bool nesterov) {
  buffer += (1.0f - momentum) * (gradient - buffer);
  return nesterov ? gradient + momentum * (buffer - gradient) : buffer;
}

/// The new parameter: decayed by `rate`, and moved by the rate that goes with its matrix's shape.
HOST_DEVICE inline float muon_update(float parameter, float orthogonal, float rate, float shape_factor,
                                     float weight_decay) {
  return parameter * (1.0f - rate * weight_decay) - rate * shape_factor * orthogonal;
}

}  // namespace convoy
