// NumPy arrays of images and labels: a .npz archive as Keras ships MNIST, or a folder of .npy files.
#pragma once

#include <filesystem>

#include "convoy/catalog.h"

namespace convoy {

/// Whether that is a .npz file by its name, or a folder with one, or with x_train.npy.
bool is_npz_data(const std::filesystem::path& data);

/// Reads the arrays, see `load`: data set "npz". Throws as `load`.
DatasetPair read_npz_set(const std::filesystem::path& data, const LoadOptions& options);

}  // namespace convoy
