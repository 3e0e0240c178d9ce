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

/// The data sets that have a name: "mnist", "fashion-mnist", "kmnist", "qmnist", EMNIST's splits
/// ("emnist-balanced", "emnist-byclass", "emnist-bymerge", "emnist-digits", "emnist-letters",
/// "emnist-mnist"), "cifar10", "cifar100".
std::span<const std::string_view> dataset_names();

/// The kinds of data of one's own, see `load`: "idx", "pictures", "csv", "npz".
std::span<const std::string_view> own_data_names();

/// Which data set lies there, or which kind of data of one's own; nothing if that is not known. IDX files
/// under MNIST's names are told apart by their first test labels, KMNIST's by the name of their folder;
/// others are "idx". Throws UsageError if several named data sets lie below, where torchvision puts them,
/// without MNIST.
std::optional<std::string> recognise(const std::filesystem::path& data);

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

/// How data of one's own become a data set, where they do not say it themselves. 0 and empty: as they are.
struct LoadOptions {
  std::int64_t channels = 0;     ///< of the images: 1 (grey) or 3 (colour)
  std::int64_t height = 0;       ///< of the images; pictures are scaled
  std::int64_t width = 0;        ///< of the images, given together with the height
  bool crop = false;             ///< cut pictures to these proportions before; without it they are distorted
  double split = 0.0;            ///< share of each class that becomes the test half, where there is none
  std::uint64_t split_seed = 1;  ///< which images these are
  bool split_if_needed = false;  ///< take a test half that is there, instead of refusing to make another
  std::vector<std::string> classes = {};  ///< those of a trained model: data with others are refused
  std::filesystem::path cache = {};       ///< folder for decoded pictures; empty: they are decoded each time
  std::function<void(const std::string& line)> say = {};   ///< called with what was decided
  std::function<void(const Dataset& test)> held_out = {};  ///< called with the test half that split made
  /// Called while pictures are decoded. An exception thrown here ends that and leaves `load`.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

/// Loads the training and the test half. The folder of an IDX data set holds four files under MNIST's names
/// (train-images-idx3-ubyte and so on, with or without .gz), itself or where torchvision puts them
/// (MNIST/raw); QMNIST's and EMNIST's files have their own names. EMNIST's images are transposed on loading,
/// and its classes are called by their characters. CIFAR-10's holds data_batch_1.bin to test_batch.bin,
/// directly or in cifar-10-batches-bin, CIFAR-100's train.bin and test.bin, directly or in cifar-100-binary.
///
/// With `dataset` "idx" any folder with four such IDX files is loaded, and the number of classes is the
/// largest label plus 1. `say` is called with one line if one of these classes has no image.
///
/// With "pictures" a folder of pictures (see the README of engine/data): a folder for each class, whose name
/// is the class's, in `train` and in `test` or `val`; or without these, and options.split divides it.
/// Pictures are decoded on all processors and become images of options.channels x height x width; without
/// these all must be of one size, and all grey if the first one is.
///
/// With "csv" a table, plain or gzip, of a row for each image: a label and its pixels, row by row, channel by
/// channel. It is a file, or train.csv in a folder; test.csv there is the test half, if it has labels. With
/// "npz" a .npz file of NumPy's, or a folder with one or with .npy files: x_train, y_train, x_test and
/// y_test. Images are [N, H, W], [N, H, W, C] or [N, C, H, W]. Rows of pixels are grey squares unless the
/// options tell a shape.
///
/// Throws UsageError for an unknown name and for options that do not fit the data. Throws Error that names
/// the file if one is missing or malformed, has a label that is no class, or a label so large that more than
/// a quarter of the classes have no image.
DatasetPair load(const std::string& dataset, const std::filesystem::path& folder,
                 const LoadOptions& options = {});

}  // namespace convoy
