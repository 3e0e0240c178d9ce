// The classes of a data set that is not known by name.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

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
/// position. `of_digits` is the data set of ten classes that files of such names can be loaded as: the error
/// offers it where all labels are below 10; empty for none.
void count_classes(std::span<const LabelledPart> parts, const std::function<void(const std::string&)>& say,
                   std::string_view of_digits = "");

}  // namespace convoy
