// Tables of labelled images, as Kaggle's digit recogniser has them: a row an image, a column a pixel, and one
// column with the label.
#pragma once

#include <filesystem>
#include <optional>

#include "convoy/catalog.h"

namespace convoy {

/// Whether that is such a table by its name (.csv or .csv.gz), or a folder with one for the training.
bool is_csv_data(const std::filesystem::path& data);

/// Reads one table, plain or gzip. The first row may have names: then the label's column is the one called
/// label, class, target or y, and columns without a name are left out. Without names it is the first column.
/// Pixels must be whole numbers from 0 to 255, or all from 0 to 1 with some that are no whole numbers or have
/// a decimal point; they are then multiplied by 255 and rounded. Nothing if there are names and none of them
/// is a label's. Throws Error that names file, line and column for anything else, UsageError as `load`.
std::optional<Dataset> read_csv(const std::filesystem::path& file, const LoadOptions& options);

/// Reads a table, or the folder of those for training and test, see `load`: data set "csv". Throws as `load`.
DatasetPair read_csv_set(const std::filesystem::path& data, const LoadOptions& options);

}  // namespace convoy
