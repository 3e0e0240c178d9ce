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
  std::string problem;      // what is missing or cannot be read, as a phrase; empty if nothing is
  bool transposed = false;  // the images have rows and columns exchanged, as EMNIST's do
};

/// Looks for the four IDX files, under the names that copies of MNIST have, or under those of one of EMNIST's
/// splits.
FolderContent find_idx(const std::filesystem::path& folder);

/// Which data set's test labels these files have: "mnist", "fashion-mnist", or empty for any other and for
/// files that cannot be read.
std::string known_idx(const FolderContent& idx);

/// Looks for the six files of CIFAR-10's binary version, in `folder` and in its cifar-10-batches-bin.
FolderContent find_cifar10(const std::filesystem::path& folder);

}  // namespace convoy
