#include "convoy/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "convoy/error.h"

namespace convoy {

std::int64_t Shape::count() const {
  std::int64_t product = 1;
  for (const std::int64_t dimension : dimensions_) {
    if (dimension < 0 || __builtin_mul_overflow(product, dimension, &product)) {
      throw UsageError(fmt::format("shape {} has no valid element count", str()));
    }
  }
  return product;
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(dimensions_, ", ")); }

}  // namespace convoy
