#include "engine/data/pictures/picture_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "convoy/error.h"
#include "engine/core/lower_case.h"
#include "engine/core/utf8.h"
#include "engine/data/order.h"
#include "engine/data/pictures/picture_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// What the halves' folders are called, in small letters.
constexpr auto kTrain = std::to_array<std::string_view>({"train", "training", "training_set", "train_set"});
constexpr auto kTest = std::to_array<std::string_view>({"test", "testing", "test_set"});
constexpr auto kValidation = std::to_array<std::string_view>({"val", "valid", "validation"});
constexpr std::size_t kMostClasses = 256;  // labels are bytes

/// Also what systems leave in folders: of macOS, Jupyter and Windows.
bool is_hidden(const fs::path& path) {
  const std::string name = lower_case(path.filename().string());
  return name.starts_with('.') || name == "__macosx" || name == "thumbs.db" || name == "desktop.ini";
}

[[noreturn]] void fail_to_read(const fs::path& path, const std::error_code& code) {
  throw Error(fmt::format("{} cannot be read: {}", path.string(), code.message()));
}

/// What lies in a folder and is not hidden, sorted by name.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code code;
  for (fs::directory_iterator at(folder, code); !code && at != fs::directory_iterator(); at.increment(code)) {
    if (!is_hidden(at->path())) entries.push_back(at->path());
  }
  if (code) fail_to_read(folder, code);
  std::ranges::sort(entries);
  return entries;
}

bool is_folder(const fs::path& path) {
  std::error_code code;
  return fs::is_directory(path, code);
}

/// The folders in a folder. A picture that lies beside them belongs to no class.
std::vector<fs::path> classes_in(const fs::path& folder) {
  std::vector<fs::path> classes;
  for (const fs::path& entry : entries_of(folder)) {
    if (is_folder(entry)) {
      classes.push_back(entry);
    } else if (has_picture_name(entry)) {
      throw Error(fmt::format("{} lies beside the folders of the classes; move it into one", entry.string()));
    }
  }
  return classes;
}

using Say = std::function<void(const std::string&)>;

/// The folder of that name that has the classes' folders in it.
std::optional<fs::path> half_in(const fs::path& folder, std::span<const std::string_view> names,
                                const Say& say) {
  const std::vector<fs::path> entries = entries_of(folder);
  for (const std::string_view name : names) {
    for (const fs::path& entry : entries) {
      if (lower_case(entry.filename().string()) != name || !is_folder(entry)) continue;
      if (std::ranges::any_of(entries_of(entry), is_folder)) return entry;
      if (say) say(fmt::format("{} holds no folders of classes and is left out", entry.string()));
    }
  }
  return std::nullopt;
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// Lists the pictures of one half.
class Lister {
 public:
  Lister(fs::path root, std::vector<ListedPicture>& pictures) : root_(std::move(root)), pictures_(pictures) {}

  void list_class(const fs::path& folder, std::size_t label) {
    const std::size_t before = pictures_.size();
    list(folder, static_cast<std::uint8_t>(label));
    if (pictures_.size() == before) {
      throw Error(fmt::format("{} holds no picture; put some in, or remove the folder", folder.string()));
    }
  }

 private:
  void list(const fs::path& folder, std::uint8_t label) {
    for (const fs::path& entry : entries_of(folder)) {
      std::error_code code;
      const fs::file_status status = fs::symlink_status(entry, code);
      if (code) fail_to_read(entry, code);
      if (fs::is_directory(status)) {  // not through a link, which might lead in a circle
        list(entry, label);
      } else {
        add(entry, label);
      }
    }
  }

  void add(const fs::path& file, std::uint8_t label) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) fail_to_read(file, {errno, std::generic_category()});
    if (!S_ISREG(status.st_mode)) {
      throw Error(fmt::format("{} is no regular file; remove it", file.string()));
    }
    pictures_.push_back({.name = file.lexically_relative(root_).string(),
                         .label = label,
                         .bytes = std::int64_t{status.st_size},
                         .modified = nanoseconds(status.st_mtim),
                         .changed = nanoseconds(status.st_ctim)});
  }

  fs::path root_;
  std::vector<ListedPicture>& pictures_;
};

std::vector<std::string> names_of(const std::vector<fs::path>& folders) {
  std::vector<std::string> names;
  for (const fs::path& folder : folders) names.push_back(folder.filename().string());
  return names;
}

void check_classes(const fs::path& folder, const std::vector<std::string>& classes) {
  if (classes.size() < 2) {
    throw Error(fmt::format("{} holds {}: each class has to have a folder of its own in it", folder.string(),
                            classes.empty() ? "no folder" : "one folder, " + classes[0]));
  }
  if (classes.size() > kMostClasses) {
    throw Error(fmt::format("{} holds {} folders: {} classes are the most", folder.string(), classes.size(),
                            kMostClasses));
  }
  for (const std::string& name : classes) {
    if (is_plain_utf8(name)) continue;
    throw Error(fmt::format("{} holds a folder whose name is not UTF-8, or has control characters; rename it",
                            folder.string()));
  }
}

/// Throws Error for a class that one half has and the other does not.
void check_same_classes(const fs::path& train, const std::vector<std::string>& classes, const fs::path& test,
                        const std::vector<std::string>& others) {
  const auto missing = [](const fs::path& in, const std::vector<std::string>& have, const fs::path& from,
                          const std::vector<std::string>& want) {
    for (const std::string& name : want) {
      if (std::ranges::find(have, name) != have.end()) continue;
      throw Error(fmt::format("{} is missing: {} is there, and both halves need the same classes",
                              (in / name).string(), (from / name).string()));
    }
  };
  missing(test, others, train, classes);
  missing(train, classes, test, others);
}

/// As the folders list them, all of one class would follow each other. Those who take the first N of them
/// take some of each class.
void mix(std::vector<ListedPicture>& pictures) {
  constexpr std::uint64_t kSeed = 0;
  std::vector<ListedPicture> mixed;
  mixed.reserve(pictures.size());
  // Epochs count from 1, so no training has this order.
  for (const std::uint32_t i : shuffled_order(std::ssize(pictures), kSeed, /*epoch=*/0)) {
    mixed.push_back(std::move(pictures[i]));
  }
  pictures = std::move(mixed);
}

std::vector<ListedPicture> list_half(const fs::path& root, const std::vector<fs::path>& classes) {
  std::vector<ListedPicture> pictures;
  Lister lister(root, pictures);
  for (std::size_t label = 0; label < classes.size(); ++label) lister.list_class(classes[label], label);
  mix(pictures);
  return pictures;
}

/// Looks for one picture in the folders of a folder, of which there may be millions.
class PictureSearch {
 public:
  bool finds_below(const fs::path& folder, int depth) {
    std::error_code code;
    int seen = 0;
    for (fs::directory_iterator at(folder, code); !code && at != fs::directory_iterator();
         at.increment(code)) {
      if (++seen > kMostOfFolder || ++seen_ > kMost) return false;
      if (is_hidden(at->path())) continue;
      if (is_folder(at->path())) {
        if (depth < kDeepest && finds_below(at->path(), depth + 1)) return true;
      } else if (depth > 0 && has_picture_name(at->path())) {
        return true;
      }
    }
    return false;
  }

 private:
  static constexpr int kMost = 20'000, kMostOfFolder = 2000, kDeepest = 5;

  int seen_ = 0;
};

}  // namespace

bool is_picture_tree(const fs::path& folder) { return PictureSearch().finds_below(folder, /*depth=*/0); }

PictureTree list_pictures(const fs::path& folder, const std::function<void(const std::string&)>& say) {
  PictureTree tree;
  tree.folder = folder;
  const std::optional<fs::path> train = half_in(folder, kTrain, {});
  const std::vector<fs::path> classes = classes_in(train.value_or(folder));
  tree.classes = names_of(classes);
  check_classes(train.value_or(folder), tree.classes);
  tree.train = list_half(folder, classes);
  if (!train) return tree;

  const std::optional<fs::path> validation = half_in(folder, kValidation, say);
  std::optional<fs::path> test = half_in(folder, kTest, say);
  if (test && validation && say) {
    say(fmt::format("{} is the test half, and {} is left out", test->string(), validation->string()));
  }
  if (!test) test = validation;
  if (!test) return tree;
  const std::vector<fs::path> test_classes = classes_in(*test);
  check_same_classes(*train, tree.classes, *test, names_of(test_classes));
  tree.test = list_half(folder, test_classes);
  return tree;
}

}  // namespace convoy
