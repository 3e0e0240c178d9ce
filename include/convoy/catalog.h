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

/// The data sets that have a name: "mnist", "fashion-mnist", "cifar10".
std::span<const std::string_view> dataset_names();

/// Where to look for a data set. Empty folders are skipped.
struct DataSearch {
  /// A folder that the user named. If it is not empty, nothing else is tried. The files may be in the folder
  /// itself or in its subfolder with the data set's name.
  std::filesystem::path explicit_folder;
  /// The folder that an environment variable names, searched in the same way if explicit_folder is empty.
  std::filesystem::path environment;
  std::string explicit_name = "the folder given";    ///< what messages call explicit_folder: "--data"
  std::string environment_name = "the environment";  ///< what messages call environment: "CONVOY_DATA"
  /// Data sets are looked for in its subfolders with their names, and are downloaded into them.
  std::filesystem::path project_data;
  bool allow_download = true;                   ///< false: the network is not used
  bool allow_stand_in = true;                   ///< take Fashion-MNIST if MNIST cannot be had
  std::function<void(const std::string&)> say;  ///< called with one line for each decision
  /// Called during a download with the file's name and its bytes: those that are done, and all.
  std::function<void(const std::string& file, std::int64_t done, std::int64_t total)> progress;
  /// The folder of Debian's package dataset-fashion-mnist.
  std::filesystem::path packaged_fashion_mnist = "/usr/share/datasets/fashion-mnist";
  /// The files to download for a data set. By default from the public mirrors.
  std::function<std::vector<RemoteFile>(const std::string& dataset)> mirrors = remote_files;
};

/// A data set that was found.
struct DataLocation {
  std::string dataset;           ///< "fashion-mnist" if it stands in for "mnist", else the name asked for
  std::filesystem::path folder;  ///< holds the files, for `load`
  std::string how;  ///< "from the folder given", "in the data folder", "downloaded", "packaged by Debian"
};

/// Finds a data set. If it is nowhere, it is downloaded into `project_data / dataset`. If MNIST cannot be had
/// either way, Debian's packaged Fashion-MNIST stands in for it, and `say` is told. "idx" (see `load`) is
/// looked for in explicit_folder and environment only. Throws UsageError for an unknown name, Error with
/// every place that was tried if the data set is in none.
DataLocation locate(const std::string& dataset, const DataSearch& search);

/// As `locate`, but never downloads, and returns nothing for a data set that is not found.
std::optional<DataLocation> find_local(const std::string& dataset, const DataSearch& search);

/// Loads the training and the test half. The folder of an IDX data set holds four files under MNIST's names
/// (train-images-idx3-ubyte and so on, with or without .gz), itself or where torchvision puts them
/// (MNIST/raw). CIFAR-10's holds data_batch_1.bin to test_batch.bin, directly or in cifar-10-batches-bin.
/// With `dataset` "idx" any folder with four such IDX files is loaded, and the number of classes is the
/// largest label plus 1. Such files may also have the names of an EMNIST split
/// (emnist-letters-train-images-idx3-ubyte); EMNIST's images are transposed on loading. `say` is called with
/// one line if one of these classes has no image. Throws UsageError for an unknown name. Throws Error that
/// names the file if one is missing or malformed, has a label that is no class, or a label so large that more
/// than a quarter of the classes have no image.
DatasetPair load(const std::string& dataset, const std::filesystem::path& folder,
                 const std::function<void(const std::string& line)>& say = {});

}  // namespace convoy
