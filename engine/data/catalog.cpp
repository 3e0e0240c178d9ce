#include "convoy/catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>

#include "convoy/error.h"
#include "engine/data/cifar.h"
#include "engine/data/class_count.h"
#include "engine/data/csv.h"
#include "engine/data/folders.h"
#include "engine/data/idx.h"
#include "engine/data/npz.h"
#include "engine/data/pictures/picture_set.h"
#include "engine/data/pictures/picture_tree.h"
#include "engine/data/split.h"
#include "engine/data/strangers.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr auto kNames =
    std::to_array<std::string_view>({"mnist", "fashion-mnist", "kmnist", "qmnist", "cifar10", "cifar100"});
constexpr std::string_view kAnyIdx = "idx", kPictures = "pictures", kCsv = "csv", kNpz = "npz";
constexpr std::array kOwn = {kAnyIdx, kPictures, kCsv, kNpz};

bool is_own(const std::string& dataset) { return std::ranges::find(kOwn, dataset) != kOwn.end(); }

void check_known(const std::string& dataset) {
  if (is_own(dataset) || std::ranges::find(kNames, dataset) != kNames.end()) return;
  throw UsageError(fmt::format("unknown data set '{}'; known are {}, and for data of one's own {}", dataset,
                               fmt::join(kNames, ", "), fmt::join(kOwn, ", ")));
}

std::string_view title(const std::string& dataset) {
  if (dataset == "mnist") return "MNIST";
  if (dataset == "fashion-mnist") return "Fashion-MNIST";
  if (dataset == "kmnist") return "KMNIST";
  if (dataset == "qmnist") return "QMNIST";
  if (dataset == "cifar100") return "CIFAR-100";
  return dataset == "cifar10" ? "CIFAR-10" : "IDX";
}

/// What torchvision makes below its root.
std::vector<fs::path> torchvision_folders(const std::string& dataset) {
  if (dataset == "mnist") return {"MNIST/raw", "raw"};
  if (dataset == "fashion-mnist") return {"FashionMNIST/raw", "raw"};
  if (dataset == "kmnist") return {"KMNIST/raw", "raw"};
  if (dataset == "qmnist") return {"QMNIST/raw", "raw"};
  return {"raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "EMNIST/raw", "QMNIST/raw"};
}

/// The IDX files of a folder or, if it has none, of the first of torchvision's folders below that has them.
FolderContent find_idx_below(const std::string& dataset, const fs::path& folder) {
  FolderContent content = find_idx(folder);
  if (content.problem.empty()) return content;
  for (const fs::path& below : torchvision_folders(dataset)) {
    FolderContent nested = find_idx(folder / below);
    if (nested.problem.empty()) return nested;
  }
  return content;
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
    if (const std::string strange = strange_content(folder, dataset); !strange.empty()) {
      content.problem += "; " + strange;
    }
    return content;
  }
  if (dataset.starts_with("cifar") || dataset == kAnyIdx) return content;
  // The files of both have the same names.
  const std::string known = known_idx(content);
  if (!known.empty() && known != dataset) {
    content.problem = fmt::format("{} holds {}, not {}", folder.string(), title(known), title(dataset));
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
      tried_.push_back(
          fmt::format("neither {} nor {} names a folder", where_.explicit_name, where_.environment_name));
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
    if (find_files(dataset_, own).problem.empty()) return DataLocation{dataset_, own, how};
    return in(folder, how);
  }

  std::optional<DataLocation> packaged() {
    const fs::path& folder = where_.packaged_fashion_mnist;
    if (folder.empty()) return std::nullopt;
    if (find_idx(folder).problem.empty()) return DataLocation{"fashion-mnist", folder, "packaged by Debian"};
    tried_.push_back(fmt::format("Debian's package dataset-fashion-mnist is not in {}", folder.string()));
    return std::nullopt;
  }

  const std::string& dataset_;
  const DataSearch& where_;
  std::vector<std::string> tried_;
};

DatasetPair load_idx(const FolderContent& content, std::int64_t classes) {
  return {read_idx_pair(content.train[0], content.train[1], classes),
          read_idx_pair(content.test[0], content.test[1], classes)};
}

}  // namespace

std::span<const std::string_view> dataset_names() { return kNames; }
std::span<const std::string_view> own_data_names() { return kOwn; }

std::optional<std::string> recognise(const fs::path& data) {
  if (find_idx(data).problem.empty() || find_cifar10(data).problem.empty() ||
      find_cifar100(data).problem.empty()) {
    return std::nullopt;
  }
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

  constexpr std::int64_t kAnyLabel = std::numeric_limits<std::uint8_t>::max() + 1;
  DatasetPair pair =
      dataset == "cifar10"    ? DatasetPair{read_cifar10(content.train), read_cifar10(content.test)}
      : dataset == "cifar100" ? DatasetPair{read_cifar100(content.train), read_cifar100(content.test)}
                              : load_idx(content, dataset == kAnyIdx ? kAnyLabel : 10);
  if (dataset == kAnyIdx) {
    count_classes(
        std::array{LabelledPart{&pair.train, content.train[1]}, LabelledPart{&pair.test, content.test[1]}},
        options.say);
  }
  if (content.transposed) {
    pair.train = transpose(std::move(pair.train));
    pair.test = transpose(std::move(pair.test));
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
