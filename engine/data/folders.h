// Which files the folder of a data set must hold.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace convoy {

/// The files of one half. IDX: images, then labels. CIFAR-10: the batches.
using DataFiles = std::vector<std::filesystem::path>;

struct FolderContent {
  DataFiles train;
  DataFiles test;
  std::string problem;                // what is missing or cannot be read, as a phrase; empty if nothing is
  bool transposed = false;            // the images have rows and columns exchanged, as EMNIST's do
  std::filesystem::path folder = {};  // of IDX files: where they lie
};

/// Looks for the four IDX files of a data set, under the names that it has. For "idx" these are any set's:
/// MNIST's first, then QMNIST's, then those of one of EMNIST's splits.
FolderContent find_idx(const std::filesystem::path& folder, const std::string& dataset);

/// Which data set these files, named as MNIST's, are: "mnist" and "fashion-mnist" by their first test labels,
/// "kmnist" by the sizes of the files as they were published, or by the name of the folder: `kmnist`, or
/// `raw` in one that is called so. Empty for any other.
std::string known_idx(const FolderContent& idx);

/// Which data set the IDX files of a folder are: by their names, or as `known_idx` knows. "idx" for others
/// and for several splits of EMNIST; empty if four are not there.
std::string recognise_idx(const std::filesystem::path& folder);

/// Looks for the six files of CIFAR-10's binary version, in `folder` and in its cifar-10-batches-bin.
FolderContent find_cifar10(const std::filesystem::path& folder);

/// Looks for train.bin and test.bin of CIFAR-100's binary version, in `folder` and in its cifar-100-binary.
FolderContent find_cifar100(const std::filesystem::path& folder);

}  // namespace convoy
