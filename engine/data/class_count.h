// The classes of a data set that is not known by name.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "convoy/dataset.h"

namespace convoy {

/// A data set and the file that has its labels.
struct LabelledPart {
  Dataset* dataset;
  std::filesystem::path file;
};

/// Sets the number of classes of all parts to the largest label plus 1. Calls `say` with one line if a class
/// has no image in any: labels that count from 1, or a wrong one. Throws Error if more than one has none and
/// they are more than a quarter: then the largest label is hardly right. Both name the label's file and its
/// position.
void count_classes(std::span<const LabelledPart> parts, const std::function<void(const std::string&)>& say);

}  // namespace convoy
