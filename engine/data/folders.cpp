#include "engine/data/folders.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "convoy/error.h"
#include "convoy/fetch.h"
#include "engine/core/lower_case.h"
#include "engine/data/byte_reader.h"
#include "engine/data/idx_sets.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// By their first labels of test images: these are never the same by chance.
constexpr std::size_t kIdxHeader = 8, kKnownLabels = 16;
struct KnownIdx {
  std::string_view name;
  std::array<std::uint8_t, kKnownLabels> labels;
};
constexpr KnownIdx kKnown[] = {{"mnist", {7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5}},
                               {"fashion-mnist", {9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4, 5, 7, 3, 4, 1}}};

/// Whether there is something of that name but no folder. A FIFO counts: reading says what is wrong with it.
bool is_file(const fs::path& path) {
  std::error_code code;
  return fs::exists(path, code) && !fs::is_directory(path, code);
}

/// Why a folder cannot be read; empty if it can.
std::string unreadable(const fs::path& folder) {
  std::error_code code;
  const fs::directory_iterator entries(folder, code);
  return code ? fmt::format("{} cannot be read: {}", folder.string(), code.message()) : std::string();
}

/// For "train-images" and rank 3: train-images-idx3-ubyte or, as in some copies, train-images.idx3-ubyte.
/// Plain files are preferred to .gz because they load faster.
std::optional<fs::path> find_idx_file(const fs::path& folder, std::string_view stem, std::string_view ranks) {
  for (const std::string_view ending : {"", ".gz"}) {
    for (const char separator : {'-', '.'}) {
      for (const char rank : ranks) {
        const char* const type = rank == '2' ? "int" : "ubyte";  // QMNIST's labels have columns of 32 bits
        const fs::path candidate =
            folder / fmt::format("{}{}idx{}-{}{}", stem, separator, rank, type, ending);
        if (is_file(candidate)) return candidate;
        // An unpacked archive of Kaggle's has each file in a folder of its own name.
        if (is_file(candidate / candidate.filename())) return candidate / candidate.filename();
      }
    }
  }
  return std::nullopt;
}

/// The splits of EMNIST that lie in a folder: "emnist-letters".
std::set<std::string> emnist_splits(const fs::path& folder) {
  constexpr std::string_view kBegin = "emnist-", kEnd = "-train-images";
  std::set<std::string> splits;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    const std::size_t end = name.find(kEnd);
    if (name.starts_with(kBegin) && end != std::string::npos) splits.insert(name.substr(0, end));
  }
  return splits;
}

/// How four files are called.
struct Names {
  std::string begin;
  std::string_view test;
  std::string_view label_ranks;
  bool transposed = false;
  std::set<std::string> splits;  // of EMNIST, where its are the names that are there
  std::string dataset;           // whose names these are; empty: of several
};

Names names_of(const IdxSet& set) {
  return {.begin = std::string(set.begin),
          .test = set.test,
          .label_ranks = set.label_ranks,
          .transposed = set.transposed,
          .splits = {},
          .dataset = set.begin.empty() ? std::string() : std::string(set.name)};
}

/// The names that the files in a folder have; MNIST's if none are known.
Names names_in(const fs::path& folder) {
  const IdxSet &mnist = *find_idx_set("mnist"), &qmnist = *find_idx_set("qmnist");
  if (find_idx_file(folder, "train-images", "34")) return names_of(mnist);
  if (find_idx_file(folder, std::string(qmnist.begin) + "train-images", "34")) return names_of(qmnist);
  auto splits = emnist_splits(folder);
  if (splits.empty()) return names_of(mnist);
  const IdxSet* const set = find_idx_set(*splits.begin());
  Names names = names_of(set != nullptr ? *set : *find_idx_set("emnist-digits"));  // all of one pattern
  names.begin = *splits.begin() + "-";
  names.dataset = set != nullptr ? std::string(set->name) : "idx";
  names.splits = std::move(splits);
  return names;
}

/// Whether it is called so, or is the `raw` of such a folder, where KMNIST is unpacked: KMNIST/raw.
bool is_called_kmnist(const fs::path& folder) {
  std::error_code code;
  fs::path path = fs::absolute(folder, code).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const auto is_kmnist = [](const fs::path& part) {
    return lower_case(part.filename().string()) == "kmnist";
  };
  return is_kmnist(path) || (lower_case(path.filename().string()) == "raw" && is_kmnist(path.parent_path()));
}

/// Whether the files are of the sizes that KMNIST's have as they are downloaded. All four are so by no
/// chance.
bool has_sizes_of_kmnist(const FolderContent& idx) {
  const std::vector<RemoteFile> published = remote_files("kmnist");
  const auto is_published = [&](const fs::path& file) {
    std::error_code code;
    const std::uintmax_t bytes = fs::file_size(file, code);
    return !code && std::ranges::any_of(published, [&](const RemoteFile& remote) {
      return remote.name == file.filename() && static_cast<std::uintmax_t>(remote.bytes) == bytes;
    });
  };
  return std::ranges::all_of(idx.train, is_published) && std::ranges::all_of(idx.test, is_published);
}

/// The data set that has these first test labels; empty if none is known, or the file cannot be read.
std::string known_by_labels(const FolderContent& idx) {
  std::array<std::uint8_t, kIdxHeader + kKnownLabels> bytes;
  try {
    if (ByteReader(idx.test.at(1)).read(bytes) != bytes.size()) return {};
  } catch (const Error&) {
    return {};
  }
  for (const auto& [name, labels] : kKnown) {
    if (std::equal(labels.begin(), labels.end(), bytes.begin() + kIdxHeader)) return std::string(name);
  }
  return {};
}

/// Notes the first file that is missing.
FolderContent with_problem(FolderContent content) {
  for (const DataFiles* files : {&content.train, &content.test}) {
    for (const fs::path& file : *files) {
      if (content.problem.empty() && !is_file(file))
        content.problem = fmt::format("{} is missing", file.string());
    }
  }
  return content;
}

FolderContent find_batches(const fs::path& folder) {
  FolderContent content;
  for (const int batch : {1, 2, 3, 4, 5})
    content.train.push_back(folder / fmt::format("data_batch_{}.bin", batch));
  content.test.push_back(folder / "test_batch.bin");
  return with_problem(std::move(content));
}

FolderContent find_binaries(const fs::path& folder) {
  FolderContent content;
  content.train.push_back(folder / "train.bin");
  content.test.push_back(folder / "test.bin");
  return with_problem(std::move(content));
}

}  // namespace

FolderContent find_idx(const fs::path& folder, const std::string& dataset) {
  FolderContent content{
      .train = {}, .test = {}, .problem = unreadable(folder), .transposed = false, .folder = folder};
  const IdxSet* const asked = find_idx_set(dataset);
  const Names names = asked != nullptr ? names_of(*asked) : names_in(folder);
  if (names.splits.size() > 1) {
    content.problem = fmt::format("{} holds {} splits of EMNIST: name one, as --dataset {}", folder.string(),
                                  names.splits.size(), fmt::join(names.splits, ", --dataset "));
    return content;
  }
  content.transposed = names.transposed;
  const auto add = [&](DataFiles& files, const std::string& stem, std::string_view ranks) {
    const std::optional<fs::path> file = find_idx_file(folder, stem, ranks);
    if (file) {
      files.push_back(*file);
    } else if (content.problem.empty()) {
      content.problem = fmt::format(
          "{} is missing (plain or .gz)",
          (folder / fmt::format("{}-idx{}-{}", stem, ranks[0], ranks == "2" ? "int" : "ubyte")).string());
    }
  };
  add(content.train, names.begin + "train-images", "34");
  add(content.train, names.begin + "train-labels", names.label_ranks);
  add(content.test, fmt::format("{}{}-images", names.begin, names.test), "34");
  add(content.test, fmt::format("{}{}-labels", names.begin, names.test), names.label_ranks);
  return content;
}

std::string known_idx(const FolderContent& idx) {
  if (std::string known = known_by_labels(idx); !known.empty()) return known;
  return is_called_kmnist(idx.folder) || has_sizes_of_kmnist(idx) ? "kmnist" : "";
}

std::string recognise_idx(const fs::path& folder) {
  const Names names = names_in(folder);
  if (names.splits.size() > 1) return "idx";
  const FolderContent content = find_idx(folder, "idx");
  if (!content.problem.empty()) return {};
  if (!names.dataset.empty()) return names.dataset;
  const std::string known = known_idx(content);
  return known.empty() ? "idx" : known;
}

FolderContent find_cifar10(const fs::path& folder) {
  const std::string problem = unreadable(folder);
  if (!problem.empty()) return {.train = {}, .test = {}, .problem = problem, .transposed = false};
  FolderContent nested = find_batches(folder / "cifar-10-batches-bin");
  return nested.problem.empty() ? nested : find_batches(folder);
}

FolderContent find_cifar100(const fs::path& folder) {
  const std::string problem = unreadable(folder);
  if (!problem.empty()) return {.train = {}, .test = {}, .problem = problem, .transposed = false};
  FolderContent nested = find_binaries(folder / "cifar-100-binary");
  return nested.problem.empty() ? nested : find_binaries(folder);
}

}  // namespace convoy
