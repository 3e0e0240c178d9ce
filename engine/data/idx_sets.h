// The data sets of IDX files that have a name: how their files are called, and what their labels mean.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

struct IdxSet {
  std::string_view name;               // "emnist-letters", as the catalogue calls it
  std::string_view title;              // "EMNIST letters", as people do
  std::string_view folder;             // that torchvision makes below its root
  std::string_view begin = "";         // of the files' names
  std::string_view test = "t10k";      // what they call the test half
  std::string_view label_ranks = "1";  // of the files of labels
  std::string_view characters = "";    // what the classes are called, one each; none: by their numbers
  std::int64_t first_label = 0;        // class 0's
  bool transposed = false;             // the images have rows and columns exchanged

  std::int64_t classes() const { return characters.empty() ? 10 : std::ssize(characters); }
};

/// All of them, MNIST first. Three have files of the same names.
std::span<const IdxSet> idx_sets();

/// The set of that name; nullptr for another data set.
const IdxSet* find_idx_set(std::string_view name);

/// One for each class; none if the set calls them by their numbers, and for another data set.
std::vector<std::string> idx_class_names(std::string_view name);

}  // namespace convoy
