// The classes of a data set that is not known by name.
#pragma once

#include <functional>
#include <string>

#include "convoy/dataset.h"
#include "engine/data/folders.h"

namespace convoy {

/// Sets the number of classes to the largest label plus 1. Calls `say` with one line if a class has no image
/// in either half: labels that count from 1, or a wrong one. Throws Error if more than one has none and they
/// are more than a quarter: then the largest label is hardly right. Both name the label's file, one of
/// `files`, and its position.
void count_classes(DatasetPair& pair, const FolderContent& files,
                   const std::function<void(const std::string&)>& say);

}  // namespace convoy
