#include "engine/data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "convoy/error.h"
#include "engine/core/philox.h"
#include "engine/core/random_streams.h"

namespace convoy {
namespace {

/// Moves `chosen` of the numbers, drawn without repetition, to the front.
void draw(std::vector<std::size_t>& numbers, std::size_t chosen, PhiloxSequence random) {
  for (std::size_t i = 0; i < chosen; ++i) {
    std::swap(numbers[i], numbers[i + random.below(static_cast<std::uint32_t>(numbers.size() - i))]);
  }
}

std::string name_of(const Dataset& dataset, std::size_t label) {
  return label < dataset.class_names.size() ? dataset.class_names[label] : std::to_string(label);
}

/// The data set with the images of which `held` is `test`.
Dataset half_of(const Dataset& dataset, const std::vector<bool>& held, bool test) {
  Dataset half{.name = dataset.name + (test ? " test" : " train"),
               .image = dataset.image,
               .classes = dataset.classes,
               .pixels = {},
               .labels = {},
               .normalization = dataset.normalization,
               .transposed = dataset.transposed,
               .cropped = dataset.cropped,
               .class_names = dataset.class_names};
  const auto size = static_cast<std::ptrdiff_t>(dataset.image.count());
  const auto count = static_cast<std::ptrdiff_t>(std::ranges::count(held, test));
  half.pixels.reserve(static_cast<std::size_t>(count * size));
  for (std::size_t i = 0; i < held.size(); ++i) {
    if (held[i] != test) continue;
    const auto begin = dataset.pixels.begin() + static_cast<std::ptrdiff_t>(i) * size;
    half.pixels.insert(half.pixels.end(), begin, begin + size);
    half.labels.push_back(dataset.labels[i]);
  }
  return half;
}

}  // namespace

DatasetPair split(const Dataset& dataset, double share, std::uint64_t seed) {
  if (!(share > 0.0 && share < 1.0)) {
    throw UsageError(fmt::format("{}: a share of {} cannot be held out: it lies not between 0 and 1",
                                 dataset.name, share));
  }
  std::vector<std::vector<std::size_t>> of_class(256);
  for (std::size_t i = 0; i < dataset.labels.size(); ++i) of_class[dataset.labels[i]].push_back(i);
  std::vector<bool> held(dataset.labels.size());
  for (std::size_t label = 0; label < of_class.size(); ++label) {
    std::vector<std::size_t>& images = of_class[label];
    if (images.empty()) continue;
    if (images.size() == 1) {
      throw Error(
          fmt::format("{}: class {} has one image, which cannot be trained on and held out; add another",
                      dataset.name, name_of(dataset, label)));
    }
    const auto wanted = static_cast<std::size_t>(std::llround(share * static_cast<double>(images.size())));
    const std::size_t chosen = std::clamp<std::size_t>(wanted, 1, images.size() - 1);
    draw(images, chosen,
         PhiloxSequence({.seed = seed, .stream = random_streams::kSplit}, static_cast<std::uint32_t>(label)));
    for (std::size_t i = 0; i < chosen; ++i) held[images[i]] = true;
  }
  return {half_of(dataset, held, false), half_of(dataset, held, true)};
}

void require_split(const std::filesystem::path& data, bool has_test, const LoadOptions& options) {
  const bool wanted = options.split != 0.0;
  if (has_test != wanted || (has_test && options.split_if_needed)) return;
  if (has_test) {
    throw UsageError(fmt::format("{} has a test half; leave out --split, which makes one", data.string()));
  }
  throw UsageError(fmt::format(
      "{} has no test half: name the share that is held out for the test, as --split 0.2", data.string()));
}

DatasetPair split_as_asked(const Dataset& dataset, const LoadOptions& options) {
  DatasetPair pair = split(dataset, options.split, options.split_seed);
  if (options.held_out) options.held_out(pair.test);
  if (options.say) {
    options.say(fmt::format("{}: {} of {} images are held out for the test, {} of each class by the seed {}",
                            dataset.name, pair.test.count(), dataset.count(), options.split,
                            options.split_seed));
  }
  return pair;
}

}  // namespace convoy
