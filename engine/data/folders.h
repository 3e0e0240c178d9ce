// What the folder of a data set must hold, and under which names.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace convoy {

/// The files of one half: for IDX the images and the labels, for CIFAR-10 the batches.
using DataFiles = std::vector<std::filesystem::path>;

struct FolderContent {
  DataFiles train;
  DataFiles test;
  std::string problem;  // empty if all is there, else one phrase: what is missing or cannot be read
};

/// Looks for the four IDX files, under the names that MNIST's have in circulation.
FolderContent find_idx(const std::filesystem::path& folder);

/// Looks for the six files of CIFAR-10's binary version, in the folder or in its cifar-10-batches-bin.
FolderContent find_cifar10(const std::filesystem::path& folder);

}  // namespace convoy
