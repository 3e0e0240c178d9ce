// A folder of pictures as a data set.
#pragma once

#include <filesystem>

#include "convoy/catalog.h"

namespace convoy {

/// Reads the folder, see `load`: data set "pictures". Throws as `load`.
DatasetPair read_picture_set(const std::filesystem::path& folder, const LoadOptions& options);

}  // namespace convoy
