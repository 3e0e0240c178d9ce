/// @file
/// The data sets that Convoy knows by name, and where they are found.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/dataset.h"
#include "convoy/fetch.h"

namespace convoy {

/// "mnist", "fashion-mnist", "cifar10".
std::span<const std::string_view> dataset_names();

/// Where to look. Empty members are skipped. Each of the first two folders is tried as DIR/DATASET and as
/// DIR.
struct DataSearch {
  std::filesystem::path explicit_folder;  ///< if not empty, nothing else is tried
  std::filesystem::path environment;      ///< the same, if explicit_folder is empty
  /// The names of those two in messages: the flag and the environment variable that they come from.
  std::string explicit_name = "the folder given";
  std::string environment_name = "the environment";
  std::filesystem::path project_data;  ///< the `data` folder: looked in as DIR/DATASET, downloads go there
  bool allow_download = true;
  bool allow_stand_in = true;                   ///< take Fashion-MNIST if MNIST cannot be had
  std::function<void(const std::string&)> say;  ///< gets each decision, as one line
  /// Progress of a download, in bytes.
  std::function<void(const std::string& file, std::int64_t done, std::int64_t total)> progress;

  /// The folder of Debian's package of Fashion-MNIST, and the sources of downloads. Tests replace both.
  std::filesystem::path packaged_fashion_mnist = "/usr/share/datasets/fashion-mnist";
  std::function<std::vector<RemoteFile>(const std::string& dataset)> mirrors = remote_files;
};

/// A data set that was found.
struct DataLocation {
  std::string dataset;  ///< not the name that was asked for, if Fashion-MNIST stands in for MNIST
  std::filesystem::path folder;
  std::string how;  ///< "from the folder given", "in the data folder", "downloaded", "packaged by Debian"
};

/// Finds a data set. If it is nowhere, it is downloaded into `project_data / dataset`. If MNIST cannot be
/// had, Debian's packaged Fashion-MNIST stands in for it, and `say` gets a line about that. "idx" (see
/// `load`) is looked for in the first two folders only. Throws UsageError for an unknown name. Throws Error
/// if the data cannot be had, with every place that was tried.
DataLocation locate(const std::string& dataset, const DataSearch& search);

/// As `locate`, but never downloads, and returns nothing for a data set that is not there.
std::optional<DataLocation> find_local(const std::string& dataset, const DataSearch& search);

/// Loads the training and the test half. The folder of an IDX data set holds four files under MNIST's names
/// (train-images-idx3-ubyte and so on, with or without .gz). CIFAR-10's holds data_batch_1.bin to
/// test_batch.bin, directly or in cifar-10-batches-bin. With `dataset` "idx" any folder with four such IDX
/// files is loaded, and the number of classes is the largest label plus 1. Throws Error (see idx.h and
/// cifar.h).
DatasetPair load(const std::string& dataset, const std::filesystem::path& folder);

}  // namespace convoy
