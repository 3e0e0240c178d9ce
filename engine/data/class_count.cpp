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
Site largest_label(std::span<const LabelledPart> parts) {
  Site site;
  for (const LabelledPart& part : parts) {
    const auto& labels = part.dataset->labels;
    const auto largest = std::ranges::max_element(labels);
    if (largest == labels.end() || (site.file != nullptr && *largest <= site.label)) continue;
    site = {*largest, largest - labels.begin(), &part.file};
  }
  return site;
}

/// "class 0 has no image", "class 3 and 7 others have no image"; the others are told by their number alone.
std::string in_words(std::size_t first, std::size_t empty) {
  if (empty == 1) return fmt::format("class {} has no image", first);
  return fmt::format("class {} and {} other{} have no image", first, empty - 1, empty == 2 ? "" : "s");
}

}  // namespace

void count_classes(std::span<const LabelledPart> parts, const std::function<void(const std::string&)>& say,
                   std::string_view of_digits) {
  const Site largest = largest_label(parts);
  std::array<bool, 256> occurs{};
  for (const LabelledPart& part : parts) {
    for (const std::uint8_t label : part.dataset->labels) occurs[label] = true;
  }
  const std::size_t classes = std::size_t{largest.label} + 1;
  for (const LabelledPart& part : parts) part.dataset->classes = static_cast<std::int64_t>(classes);
  const auto end = occurs.begin() + static_cast<std::ptrdiff_t>(classes);
  const auto empty = static_cast<std::size_t>(std::count(occurs.begin(), end, false));
  if (empty == 0) return;

  const auto first = static_cast<std::size_t>(std::find(occurs.begin(), end, false) - occurs.begin());
  const std::string site =
      fmt::format("{}: label {} at position {} makes {} classes, of which {}", largest.file->string(),
                  largest.label, largest.position, classes, in_words(first, empty));
  if (empty > 1 && 4 * empty > classes) {
    const bool are_digits = !of_digits.empty() && classes <= 10;
    throw Error(fmt::format("{}; correct that label, or number the classes from 0 without gaps{}", site,
                            are_digits ? fmt::format(", or name --dataset {}", of_digits) : ""));
  }
  if (say) say(fmt::format("{}{}", site, first == 0 ? "; labels are to be counted from 0" : ""));
}

}  // namespace convoy
