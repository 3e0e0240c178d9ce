#include "engine/data/recognise.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "convoy/error.h"
#include "engine/data/idx_sets.h"
#include "engine/data/strangers.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIdx = "idx";

/// The folders below one that is named in which IDX files may lie: torchvision's, and the one that EMNIST's
/// archive unpacks to.
std::vector<fs::path> folders_below(const std::string& dataset) {
  if (const IdxSet* const set = find_idx_set(dataset)) {
    if (set->folder == "EMNIST/raw") return {set->folder, "raw", "gzip"};
    return {set->folder, "raw"};
  }
  return {"raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "EMNIST/raw", "QMNIST/raw", "gzip"};
}

}  // namespace

std::string_view title(const std::string& dataset) {
  if (const IdxSet* const set = find_idx_set(dataset)) return set->title;
  if (dataset == "cifar100") return "CIFAR-100";
  return dataset == "cifar10" ? "CIFAR-10" : "IDX";
}

FolderContent find_idx_below(const std::string& dataset, const fs::path& folder) {
  FolderContent content = find_idx(folder, dataset);
  if (content.problem.empty()) return content;
  for (const fs::path& below : folders_below(dataset)) {
    FolderContent nested = find_idx(folder / below, dataset);
    if (nested.problem.empty()) return nested;
    // Several splits of EMNIST are more to tell than that the folder above has no files.
    if (dataset == kIdx && recognise_idx(folder / below) == kIdx) content = std::move(nested);
  }
  return content;
}

std::optional<std::string> recognise_named(const fs::path& data) {
  if (std::string in_it = recognise_idx(data); !in_it.empty()) return in_it;
  std::vector<std::string> below;
  for (const fs::path& folder : folders_below(std::string(kIdx))) {
    if (std::string name = recognise_idx(data / folder); !name.empty()) below.push_back(std::move(name));
  }
  if (std::ranges::find(below, "mnist") != below.end()) return "mnist";
  if (find_cifar10(data).problem.empty()) below.emplace_back("cifar10");
  if (find_cifar100(data).problem.empty()) below.emplace_back("cifar100");
  if (below.empty()) return std::nullopt;
  if (below.size() > 1) {
    throw UsageError(
        fmt::format("{} holds {}: name one with --dataset", data.string(), fmt::join(below, " and ")));
  }
  return below[0];
}

std::string instead_of(const std::string& dataset, const fs::path& folder) {
  if (std::string strange = strange_content(folder, dataset); !strange.empty()) return strange;
  try {
    const auto named = recognise_named(folder);
    if (!named || *named == dataset) return {};
    if (*named != kIdx) return fmt::format("it holds {}: name --dataset {}", title(*named), *named);
    const FolderContent content = find_idx_below(*named, folder);
    return content.problem.empty() ? "it holds IDX files: name --dataset idx" : content.problem;
  } catch (const UsageError& several) {
    return several.what();
  }
}

}  // namespace convoy
