#include "engine/data/class_count.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "convoy/error.h"

namespace convoy {
namespace {

/// Where a label is.
struct Site {
  std::uint8_t label = 0;
  std::ptrdiff_t position = 0;
  const std::filesystem::path* file = nullptr;
};

/// The largest label, the first one of several.
Site largest_label(const DatasetPair& pair, const FolderContent& files) {
  const auto in = [](const Dataset& half, const std::filesystem::path& file) {
    const auto largest = std::ranges::max_element(half.labels);
    return Site{*largest, largest - half.labels.begin(), &file};
  };
  const Site train = in(pair.train, files.train.at(1)), test = in(pair.test, files.test.at(1));
  return test.label > train.label ? test : train;
}

/// "class 0 has no image", "class 3 and 7 others have no image"; the others are told by their number alone.
std::string in_words(std::size_t first, std::size_t empty) {
  if (empty == 1) return fmt::format("class {} has no image", first);
  return fmt::format("class {} and {} other{} have no image", first, empty - 1, empty == 2 ? "" : "s");
}

}  // namespace

void count_classes(DatasetPair& pair, const FolderContent& files,
                   const std::function<void(const std::string&)>& say) {
  const Site largest = largest_label(pair, files);
  std::array<bool, 256> occurs{};
  for (const Dataset* half : {&pair.train, &pair.test}) {
    for (const std::uint8_t label : half->labels) occurs[label] = true;
  }
  const std::size_t classes = std::size_t{largest.label} + 1;
  pair.train.classes = pair.test.classes = static_cast<std::int64_t>(classes);
  const auto end = occurs.begin() + static_cast<std::ptrdiff_t>(classes);
  const auto empty = static_cast<std::size_t>(std::count(occurs.begin(), end, false));
  if (empty == 0) return;

  const auto first = static_cast<std::size_t>(std::find(occurs.begin(), end, false) - occurs.begin());
  const std::string site =
      fmt::format("{}: label {} at position {} makes {} classes, of which {}", largest.file->string(),
                  largest.label, largest.position, classes, in_words(first, empty));
  if (empty > 1 && 4 * empty > classes) {
    throw Error(site + "; correct that label, or number the classes from 0 without gaps");
  }
  if (say) say(fmt::format("{}{}", site, first == 0 ? "; labels are to be counted from 0" : ""));
}

}  // namespace convoy
