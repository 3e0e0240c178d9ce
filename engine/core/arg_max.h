// Which class a row of logits names.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace convoy {

/// The first maximum of at least one value; a NaN counts as the largest, as in torch.argmax.
template <typename T>
std::size_t arg_max(std::span<const T> row) {
  std::size_t best = 0;
  for (std::size_t k = 1; k < row.size() && !std::isnan(row[best]); ++k) {
    if (row[k] > row[best] || std::isnan(row[k])) best = k;
  }
  return best;
}

}  // namespace convoy
