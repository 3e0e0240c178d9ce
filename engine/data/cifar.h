// CIFAR-10 and CIFAR-100 in their binary versions: records of one label byte, or of a coarse and a fine one,
// and 3072 pixel bytes (the red, green and blue planes of a 32x32 image).
#pragma once

#include <filesystem>
#include <vector>

#include "convoy/dataset.h"

namespace convoy {

/// Reads the files one after another into one data set of 10 classes and images [3, 32, 32], with the
/// normalisation that is customary for CIFAR-10. Throws Error that names the file if it is empty, is not a
/// whole number of records, has a label above 9, or makes the data set larger than `host_memory_bytes`.
Dataset read_cifar10(const std::vector<std::filesystem::path>& files);

/// The same for CIFAR-100: 100 classes by the fine labels, which are named, and its own normalisation.
Dataset read_cifar100(const std::vector<std::filesystem::path>& files);

}  // namespace convoy
