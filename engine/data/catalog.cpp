#include "convoy/catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

#include "convoy/error.h"
#include "engine/data/cifar.h"
#include "engine/data/class_count.h"
#include "engine/data/csv.h"
#include "engine/data/folders.h"
#include "engine/data/idx.h"
#include "engine/data/idx_sets.h"
#include "engine/data/npz.h"
#include "engine/data/pictures/picture_set.h"
#include "engine/data/pictures/picture_tree.h"
#include "engine/data/recognise.h"
#include "engine/data/split.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr auto kNames = std::to_array<std::string_view>(
    {"mnist", "fashion-mnist", "kmnist", "qmnist", "emnist-balanced", "emnist-byclass", "emnist-bymerge",
     "emnist-digits", "emnist-letters", "emnist-mnist", "cifar10", "cifar100"});
constexpr std::string_view kAnyIdx = "idx", kPictures = "pictures", kCsv = "csv", kNpz = "npz";
constexpr std::array kOwn = {kAnyIdx, kPictures, kCsv, kNpz};

bool is_own(const std::string& dataset) { return std::ranges::find(kOwn, dataset) != kOwn.end(); }

void check_known(const std::string& dataset) {
  if (is_own(dataset) || std::ranges::find(kNames, dataset) != kNames.end()) return;
  if (dataset == "emnist") {
    std::vector<std::string_view> splits;
    std::ranges::copy_if(kNames, std::back_inserter(splits),
                         [](std::string_view name) { return name.starts_with("emnist-"); });
    throw UsageError(fmt::format("'emnist' has splits; name one: {}", fmt::join(splits, ", ")));
  }
  throw UsageError(fmt::format("unknown data set '{}'; known are {}, and for data of one's own {}", dataset,
                               fmt::join(kNames, ", "), fmt::join(kOwn, ", ")));
}

/// Data of one's own that are no IDX files. Whether they are right shows when they are loaded.
FolderContent find_own(const std::string& dataset, const fs::path& folder) {
  FolderContent content;
  std::error_code code;
  if (!fs::exists(folder, code)) {
    content.problem = fmt::format("{} cannot be read: {}", folder.string(),
                                  code ? code.message() : "there is no such file or folder");
  } else if (dataset == kPictures && !is_picture_tree(folder)) {
    content.problem = fmt::format("{} holds no folders with pictures", folder.string());
  } else if (dataset == kCsv && !is_csv_data(folder)) {
    content.problem = fmt::format("{} holds no train.csv", folder.string());
  } else if (dataset == kNpz && !is_npz_data(folder)) {
    content.problem = fmt::format("{} holds no .npz file", folder.string());
  }
  return content;
}

FolderContent find_files(const std::string& dataset, const fs::path& folder) {
  if (is_own(dataset) && dataset != kAnyIdx) return find_own(dataset, folder);
  FolderContent content = dataset == "cifar10"    ? find_cifar10(folder)
                          : dataset == "cifar100" ? find_cifar100(folder)
                                                  : find_idx_below(dataset, folder);
  if (!content.problem.empty()) {
    if (const std::string other = instead_of(dataset, folder); !other.empty())
      content.problem += "; " + other;
    return content;
  }
  const IdxSet* const set = find_idx_set(dataset);
  if (set == nullptr || !set->begin.empty()) return content;
  // The files of several sets have MNIST's names.
  const std::string known = known_idx(content);
  if (!known.empty() && known != dataset) {
    content.problem = fmt::format("{} holds {}, not {}: name --dataset {}", content.folder.string(),
                                  title(known), title(dataset), known);
  }
  return content;
}

/// One search for a data set. Collects a phrase for every place where it was not found.
class Search {
 public:
  Search(const std::string& dataset, const DataSearch& where) : dataset_(dataset), where_(where) {}

  /// Looks everywhere that needs no network, but does not take Fashion-MNIST in place of MNIST.
  std::optional<DataLocation> local() {
    if (!where_.explicit_folder.empty())
      return in_either(where_.explicit_folder, "from " + where_.explicit_name);
    if (!where_.environment.empty()) return in_either(where_.environment, "from " + where_.environment_name);
    if (is_own(dataset_)) {
      tried_.emplace_back("no folder is given");
      return std::nullopt;
    }
    if (!where_.project_data.empty()) {
      if (auto found = in(where_.project_data / dataset_, "in the data folder")) return found;
    }
    return dataset_ == "fashion-mnist" ? packaged() : std::nullopt;
  }

  /// Whether the user left open where the data is. Only then is it downloaded or replaced.
  bool is_open() const {
    return where_.explicit_folder.empty() && where_.environment.empty() && !is_own(dataset_);
  }

  std::optional<DataLocation> downloaded() {
    if (!where_.allow_download) {
      tried_.push_back("downloading is switched off");
      return std::nullopt;
    }
    if (where_.project_data.empty()) {
      tried_.push_back("there is no data folder to download into");
      return std::nullopt;
    }
    const fs::path folder = where_.project_data / dataset_;
    try {
      FetchOptions options;
      options.say = where_.say;
      options.progress = where_.progress;
      fetch(where_.mirrors(dataset_), folder, options);
    } catch (const Error& error) {
      tried_.push_back(error.what());
      return std::nullopt;
    }
    return in(folder, "downloaded");
  }

  std::optional<DataLocation> stand_in() {
    if (dataset_ != "mnist" || !where_.allow_stand_in) return std::nullopt;
    auto found = packaged();
    if (found && where_.say) {
      where_.say(fmt::format(
          "MNIST could not be had ({}): what follows is Fashion-MNIST, from Debian's package in {}",
          tried_.back(), found->folder.string()));
    }
    return found;
  }

  [[noreturn]] void give_up() const {
    throw Error(fmt::format("the data set {} was not found: {}; its folder may be named by {} or {}",
                            dataset_, fmt::join(tried_, "; "), where_.explicit_name,
                            where_.environment_name));
  }

 private:
  std::optional<DataLocation> in(const fs::path& folder, const std::string& how) {
    const FolderContent content = find_files(dataset_, folder);
    if (content.problem.empty()) return DataLocation{dataset_, folder, how};
    tried_.push_back(content.problem);
    return std::nullopt;
  }

  std::optional<DataLocation> in_either(const fs::path& folder, const std::string& how) {
    const fs::path own = folder / dataset_;
    const FolderContent content = find_files(dataset_, own);
    if (content.problem.empty()) return DataLocation{dataset_, own, how};
    std::error_code code;
    if (fs::is_directory(own, code)) tried_.push_back(content.problem);
    return in(folder, how);
  }

  std::optional<DataLocation> packaged() {
    const fs::path& folder = where_.packaged_fashion_mnist;
    if (folder.empty()) return std::nullopt;
    if (find_idx(folder, "fashion-mnist").problem.empty())
      return DataLocation{"fashion-mnist", folder, "packaged by Debian"};
    tried_.push_back(fmt::format("Debian's package dataset-fashion-mnist is not in {}", folder.string()));
    return std::nullopt;
  }

  const std::string& dataset_;
  const DataSearch& where_;
  std::vector<std::string> tried_;
};

DatasetPair load_idx(const std::string& dataset, const FolderContent& content) {
  constexpr std::int64_t kAnyLabel = std::numeric_limits<std::uint8_t>::max() + 1;
  const IdxSet* const set = find_idx_set(dataset);
  const std::int64_t classes = set != nullptr ? set->classes() : kAnyLabel;
  const std::int64_t first = set != nullptr ? set->first_label : 0;
  DatasetPair pair = {read_idx_pair(content.train[0], content.train[1], classes, first),
                      read_idx_pair(content.test[0], content.test[1], classes, first)};
  for (Dataset* half : {&pair.train, &pair.test}) {
    half->class_names = idx_class_names(dataset);
    if (content.transposed) *half = transpose(std::move(*half));
  }
  return pair;
}

}  // namespace

std::span<const std::string_view> dataset_names() { return kNames; }
std::span<const std::string_view> own_data_names() { return kOwn; }

std::optional<std::string> recognise(const fs::path& data) {
  if (auto named = recognise_named(data)) return named;
  if (is_picture_tree(data)) return std::string(kPictures);
  if (is_npz_data(data)) return std::string(kNpz);
  if (is_csv_data(data)) return std::string(kCsv);
  return std::nullopt;
}

DataLocation locate(const std::string& dataset, const DataSearch& where) {
  check_known(dataset);
  Search search(dataset, where);
  std::optional<DataLocation> found = search.local();
  if (!found && search.is_open()) found = search.downloaded();
  if (!found && search.is_open()) found = search.stand_in();
  if (!found) search.give_up();
  return *found;
}

std::optional<DataLocation> find_local(const std::string& dataset, const DataSearch& where) {
  check_known(dataset);
  Search search(dataset, where);
  std::optional<DataLocation> found = search.local();
  if (!found && search.is_open()) found = search.stand_in();
  return found;
}

namespace {

/// The named data sets, and four IDX files of any.
DatasetPair load_known(const std::string& dataset, const fs::path& folder, const LoadOptions& options) {
  const FolderContent content = find_files(dataset, folder);
  if (!content.problem.empty()) throw Error(fmt::format("cannot load {}: {}", dataset, content.problem));
  require_split(folder, /*has_test=*/true, options);

  DatasetPair pair =
      dataset == "cifar10"    ? DatasetPair{read_cifar10(content.train), read_cifar10(content.test)}
      : dataset == "cifar100" ? DatasetPair{read_cifar100(content.train), read_cifar100(content.test)}
                              : load_idx(dataset, content);
  if (dataset == kAnyIdx) {
    const bool has_mnists_names = content.train[1].filename().string().starts_with("train-labels");
    count_classes(
        std::array{LabelledPart{&pair.train, content.train[1]}, LabelledPart{&pair.test, content.test[1]}},
        options.say, has_mnists_names ? "mnist" : "");
  }
  pair.train.name = fmt::format("{} train", title(dataset));
  pair.test.name = fmt::format("{} test", title(dataset));
  return pair;
}

}  // namespace

DatasetPair load(const std::string& dataset, const fs::path& folder, const LoadOptions& options) {
  check_known(dataset);
  DatasetPair pair = dataset == kPictures ? read_picture_set(folder, options)
                     : dataset == kCsv    ? read_csv_set(folder, options)
                     : dataset == kNpz    ? read_npz_set(folder, options)
                                          : load_known(dataset, folder, options);
  if (pair.train.image != pair.test.image) {
    throw Error(fmt::format("{}: training images are {}, test images {}", folder.string(),
                            pair.train.image.str(), pair.test.image.str()));
  }
  return pair;
}

}  // namespace convoy
