// Which data set lies in a folder, or below it where torchvision puts it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "engine/data/folders.h"

namespace convoy {

/// What people call a data set: "EMNIST letters".
std::string_view title(const std::string& dataset);

/// The IDX files of a folder or, if it has none, of the first of those below that has them.
FolderContent find_idx_below(const std::string& dataset, const std::filesystem::path& folder);

/// Which named data set, or other IDX files, lie in the folder or below: first IDX files in the folder
/// itself, then MNIST below, then any other. Throws UsageError for several others.
std::optional<std::string> recognise_named(const std::filesystem::path& data);

/// What a folder without the files of `dataset` holds instead, as a phrase; empty if that is not known.
std::string instead_of(const std::string& dataset, const std::filesystem::path& folder);

}  // namespace convoy
