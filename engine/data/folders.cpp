#include "engine/data/folders.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <system_error>

namespace convoy {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code code;
  return fs::is_regular_file(path, code);
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
        const fs::path candidate = folder / fmt::format("{}{}idx{}-ubyte{}", stem, separator, rank, ending);
        if (is_file(candidate)) return candidate;
      }
    }
  }
  return std::nullopt;
}

FolderContent find_batches(const fs::path& folder) {
  FolderContent content;
  for (const int batch : {1, 2, 3, 4, 5})
    content.train.push_back(folder / fmt::format("data_batch_{}.bin", batch));
  content.test.push_back(folder / "test_batch.bin");
  for (const DataFiles* files : {&content.train, &content.test}) {
    for (const fs::path& file : *files) {
      if (content.problem.empty() && !is_file(file))
        content.problem = fmt::format("{} is missing", file.string());
    }
  }
  return content;
}

}  // namespace

FolderContent find_idx(const fs::path& folder) {
  FolderContent content{.train = {}, .test = {}, .problem = unreadable(folder)};
  const auto add = [&](DataFiles& files, std::string_view stem, std::string_view ranks) {
    const std::optional<fs::path> file = find_idx_file(folder, stem, ranks);
    if (file) {
      files.push_back(*file);
    } else if (content.problem.empty()) {
      content.problem = fmt::format("{} is missing (plain or .gz)",
                                    (folder / fmt::format("{}-idx{}-ubyte", stem, ranks[0])).string());
    }
  };
  add(content.train, "train-images", "34");
  add(content.train, "train-labels", "1");
  add(content.test, "t10k-images", "34");
  add(content.test, "t10k-labels", "1");
  return content;
}

FolderContent find_cifar10(const fs::path& folder) {
  const std::string problem = unreadable(folder);
  if (!problem.empty()) return {.train = {}, .test = {}, .problem = problem};
  FolderContent nested = find_batches(folder / "cifar-10-batches-bin");
  return nested.problem.empty() ? nested : find_batches(folder);
}

}  // namespace convoy
