#include "convoy/dataset.h"

#include <fmt/format.h>

#include "convoy/error.h"

namespace convoy {

Dataset take(Dataset dataset, std::int64_t limit) {
  if (limit < 0) throw UsageError(fmt::format("{}: cannot take {} samples", dataset.name, limit));
  if (limit == 0 || limit >= dataset.count()) return dataset;
  dataset.labels.resize(static_cast<std::size_t>(limit));
  dataset.pixels.resize(static_cast<std::size_t>(limit * dataset.image.count()));
  return dataset;
}

}  // namespace convoy
