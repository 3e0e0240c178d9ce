// How Muon sees a parameter.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "convoy/muon.h"
#include "convoy/shape.h"

namespace convoy {

/// A weight [out, ...] as a matrix of `out` rows. A backend may have its columns in another order: G = X X^T
/// and so every (b G + c G G) X is the same for X with its columns exchanged, but that the result's are, too.
struct MuonShape {
  std::int64_t rows, columns;

  explicit MuonShape(const Shape& weight) : rows(weight[0]), columns(weight.count() / weight[0]) {}

  /// Of the products X X^T or X^T X, whichever is smaller.
  std::int64_t inner() const { return std::min(rows, columns); }
  bool is_wide() const { return rows <= columns; }

  /// On the learning rate.
  float rate_factor(MuonOptions::AdjustRate adjust) const {
    const auto r = static_cast<double>(rows), c = static_cast<double>(columns);
    const double factor = adjust == MuonOptions::AdjustRate::original ? std::sqrt(std::max(1.0, r / c))
                                                                      : 0.2 * std::sqrt(std::max(r, c));
    return static_cast<float>(factor);
  }
};

}  // namespace convoy
