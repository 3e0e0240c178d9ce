#include "engine/data/folders.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "convoy/error.h"
#include "engine/data/byte_reader.h"

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

/// The splits of EMNIST that lie in a folder, as their files' names begin: "emnist-letters-".
std::set<std::string> emnist_splits(const fs::path& folder) {
  constexpr std::string_view kBegin = "emnist-", kEnd = "-train-images";
  std::set<std::string> splits;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    const std::size_t end = name.find(kEnd);
    if (name.starts_with(kBegin) && end != std::string::npos) splits.insert(name.substr(0, end + 1));
  }
  return splits;
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

FolderContent find_idx(const fs::path& folder) {
  FolderContent content{.train = {}, .test = {}, .problem = unreadable(folder), .transposed = false};
  std::string begin, test = "t10k", label_ranks = "1";
  if (find_idx_file(folder, "qmnist-train-images", "3")) {
    begin = "qmnist-";
    test = "test";
    label_ranks = "2";
  }
  if (const auto splits = emnist_splits(folder);
      !splits.empty() && !find_idx_file(folder, "train-images", "34")) {
    if (splits.size() > 1) {
      content.problem = fmt::format(
          "{} holds {} splits of EMNIST: move the four files of one, {}* say, into a "
          "folder of their own",
          folder.string(), splits.size(), *splits.begin());
    }
    begin = *splits.begin();
    test = "test";
    content.transposed = true;
  }
  const auto add = [&](DataFiles& files, std::string_view stem, std::string_view ranks) {
    const std::optional<fs::path> file = find_idx_file(folder, stem, ranks);
    if (file) {
      files.push_back(*file);
    } else if (content.problem.empty()) {
      content.problem = fmt::format(
          "{} is missing (plain or .gz)",
          (folder / fmt::format("{}-idx{}-{}", stem, ranks[0], ranks == "2" ? "int" : "ubyte")).string());
    }
  };
  add(content.train, begin + "train-images", "34");
  add(content.train, begin + "train-labels", label_ranks);
  add(content.test, begin + test + "-images", "34");
  add(content.test, begin + test + "-labels", label_ranks);
  return content;
}

std::string known_idx(const FolderContent& idx) {
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
