// Holds a part of a data set out for the test.
#pragma once

#include <cstdint>

#include <filesystem>

#include "convoy/catalog.h"

namespace convoy {

/// Divides a data set: of each class `share` of the images, rounded, but at least one and not all, become the
/// test half. Which ones depends on the seed and the class alone. Both halves keep the order. Throws
/// UsageError unless `share` lies between 0 and 1, Error for a class of a single image, by its name if it has
/// one.
DatasetPair split(const Dataset& dataset, double share, std::uint64_t seed);

/// Throws UsageError that names `data` if it has no test half and none is to be made, or if it has one and
/// another is to be made, and not only if needed.
void require_split(const std::filesystem::path& data, bool has_test, const LoadOptions& options);

/// Divides data without a test half, and tells `say` and `held_out`.
DatasetPair split_as_asked(const Dataset& dataset, const LoadOptions& options);

}  // namespace convoy
