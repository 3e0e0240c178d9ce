#include "engine/data/idx_sets.h"

#include <algorithm>

namespace convoy {
namespace {

// Cohen et al., EMNIST: an extension of MNIST to handwritten letters, 2017, and the mapping.txt of each
// split. Small letters that look like their capitals share a class with them, in the letters all of them.
constexpr std::string_view kDigits = "0123456789", kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                           kMerged = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt",
                           kAll = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

constexpr IdxSet emnist(std::string_view name, std::string_view title, std::string_view begin,
                        std::string_view characters, std::int64_t first_label = 0) {
  return {.name = name,
          .title = title,
          .folder = "EMNIST/raw",
          .begin = begin,
          .test = "test",
          .characters = characters,
          .first_label = first_label,
          .transposed = true};
}

constexpr IdxSet kSets[] = {
    {.name = "mnist", .title = "MNIST", .folder = "MNIST/raw"},
    {.name = "fashion-mnist", .title = "Fashion-MNIST", .folder = "FashionMNIST/raw"},
    {.name = "kmnist", .title = "KMNIST", .folder = "KMNIST/raw"},
    {.name = "qmnist",
     .title = "QMNIST",
     .folder = "QMNIST/raw",
     .begin = "qmnist-",
     .test = "test",
     .label_ranks = "2"},
    emnist("emnist-balanced", "EMNIST balanced", "emnist-balanced-", kMerged),
    emnist("emnist-byclass", "EMNIST by class", "emnist-byclass-", kAll),
    emnist("emnist-bymerge", "EMNIST by merge", "emnist-bymerge-", kMerged),
    emnist("emnist-digits", "EMNIST digits", "emnist-digits-", kDigits),
    emnist("emnist-letters", "EMNIST letters", "emnist-letters-", kLetters, /*first_label=*/1),
    emnist("emnist-mnist", "EMNIST MNIST", "emnist-mnist-", kDigits)};

}  // namespace

std::span<const IdxSet> idx_sets() { return kSets; }

const IdxSet* find_idx_set(std::string_view name) {
  const auto* const set = std::ranges::find(kSets, name, &IdxSet::name);
  return set == std::end(kSets) ? nullptr : set;
}

std::vector<std::string> idx_class_names(std::string_view name) {
  const IdxSet* const set = find_idx_set(name);
  std::vector<std::string> names;
  for (const char c : set != nullptr ? set->characters : std::string_view()) names.emplace_back(1, c);
  return names;
}

}  // namespace convoy
