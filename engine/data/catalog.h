// The data sets Convoy knows by name, and where to find them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/data/fetch.h"

namespace convoy {

/// "mnist", "fashion-mnist", "cifar10".
std::span<const std::string_view> dataset_names();

/// Where to look. Empty members are skipped. A folder is looked for as DIR/DATASET and as DIR itself.
struct DataSearch {
  std::filesystem::path explicit_folder;  // when given, nothing else is tried
  std::filesystem::path environment;      // likewise
  // What messages call the two: the flag or the variable that the caller takes them from.
  std::string explicit_name = "the folder given";
  std::string environment_name = "the environment";
  std::filesystem::path project_data;  // a `data` folder beside the project or the working folder
  bool allow_download = true;
  bool allow_stand_in = true;                   // Fashion-MNIST where MNIST cannot be had
  std::function<void(const std::string&)> say;  // progress and decisions, one line each
  // Of a download: bytes done and in all.
  std::function<void(const std::string& file, std::int64_t done, std::int64_t total)> progress;

  // Where Debian's package puts Fashion-MNIST, and where downloads come from; tests replace them.
  std::filesystem::path packaged_fashion_mnist = "/usr/share/datasets/fashion-mnist";
  std::function<std::vector<RemoteFile>(const std::string& dataset)> mirrors = remote_files;
};

/// What was found.
struct DataLocation {
  std::string dataset;  // differs from what was asked if Fashion-MNIST stands in for MNIST
  std::filesystem::path folder;
  std::string how;  // "from " and one of the names above, "downloaded", "packaged by Debian", ...
};

/// Finds a data set, downloading it into `project_data / dataset` if it is nowhere; when MNIST cannot be had,
/// Debian's packaged Fashion-MNIST stands in and `say` gets a line that says so. "idx" (see `load`) is only
/// looked for in the first two folders. Throws UsageError for an unknown name, Error if it cannot be had
/// (with every place that was tried).
DataLocation locate(const std::string& dataset, const DataSearch& search);

/// As `locate`, but never downloads and never throws for a data set that is not there.
std::optional<DataLocation> find_local(const std::string& dataset, const DataSearch& search);

/// Loads both halves. The folder of an IDX data set holds the four files under the names of MNIST
/// (train-images-idx3-ubyte, with or without .gz, ...), CIFAR-10's holds data_batch_1.bin .. test_batch.bin,
/// itself or in cifar-10-batches-bin. Any folder with four such IDX files is a data set of its own: `dataset`
/// then is "idx", and the classes are counted from the labels. Throws Error (see idx.h).
DatasetPair load(const std::string& dataset, const std::filesystem::path& folder);

}  // namespace convoy
