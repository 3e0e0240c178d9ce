#include "apps/convoy/picture_list.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <system_error>

#include "apps/convoy/terminal.h"
#include "convoy/error.h"
#include "engine/core/file.h"
#include "engine/core/standard_input.h"
#include "engine/data/pictures/picture_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLongestList = 256 << 20;

/// One folder that was named, as it is searched.
struct Search {
  PictureList& list;
  std::int64_t others = 0;   // files that are no pictures by their names
  std::string example = {};  // one of them
  bool unreadable = false;   // some folder was not readable, and a line told so
};

struct Entry {
  std::string name;
  bool is_folder = false;
};

/// The entries of a folder in the order of their names.
std::vector<Entry> entries_of(const fs::path& folder) {
  std::vector<Entry> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.')) entries.push_back({name, fs::is_directory(entry.symlink_status())});
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

void search(const fs::path& folder, Search& state) {
  std::vector<Entry> entries;
  try {
    entries = entries_of(folder);
  } catch (const fs::filesystem_error& error) {
    say_error(fmt::format("cannot read folder {}: {}", folder.string(), error.code().message()));
    state.unreadable = true;
  }
  for (const auto& [name, is_folder] : entries) {
    const fs::path path = folder / name;
    if (is_folder) {
      search(path, state);
    } else if (has_picture_name(path)) {
      state.list.files.push_back(path.string());
    } else if (++state.others == 1) {
      state.example = path.string();
    }
  }
}

void add_folder(const fs::path& folder, PictureList& list) {
  const std::size_t before = list.files.size();
  Search state{list};
  search(folder, state);
  const bool found = list.files.size() > before;
  if (!found && !state.unreadable) {
    say_error(fmt::format("{}: there is no picture in this folder{}", folder.string(),
                          state.others > 0 ? ", by the endings of its files" : ""));
  } else if (state.others > 0) {
    say_note(fmt::format("{}: {} of its files {} no picture by the ending, such as {}", folder.string(),
                         state.others, state.others == 1 ? "is" : "are", state.example));
  }
  list.whole = list.whole && found && !state.unreadable;
}

/// What messages call a list.
std::string list_name(const fs::path& list) {
  return list == kStandardInput ? "standard input" : list.string();
}

std::string text_of(const fs::path& list) {
  if (list == kStandardInput) return read_standard_input(kLongestList);
  InputFile input(list);
  if (input.bytes() > kLongestList) {
    throw Error(fmt::format("{}: a list of {} bytes is too long; make lists of {} bytes at the most",
                            list.string(), input.bytes(), kLongestList));
  }
  return input.read_text(kLongestList);
}

/// The names in a list, one a line. Windows writes a byte order mark before the first and a carriage return
/// behind each.
std::vector<fs::path> names_in(const fs::path& list) {
  const std::string text = text_of(list);
  if (text.find('\0') != std::string::npos) {
    throw Error(fmt::format("{}: not a list of names, one a line: it has a byte of 0", list_name(list)));
  }
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  std::istringstream lines(text.starts_with(kMark) ? text.substr(kMark.size()) : text);
  std::vector<fs::path> names;
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) names.emplace_back(line);
  }
  return names;
}

/// Refuses what would read standard input twice, or wait for someone to type a picture.
void check_standard_input(const std::vector<fs::path>& names, const fs::path& list) {
  const auto times = std::ranges::count(names, fs::path(kStandardInput)) + (list == kStandardInput ? 1 : 0);
  if (times > 1) throw UsageError("- is given twice: standard input can be read once");
  if (times == 1 && isatty(STDIN_FILENO) == 1) {
    throw UsageError(
        "- is standard input, which is a terminal here: send a file into it, as with < digit.png");
  }
}

}  // namespace

PictureList list_pictures(const PictureSources& sources) {
  std::vector<fs::path> names = sources.named;
  check_standard_input(names, sources.list);
  if (!sources.list.empty()) {
    const std::vector<fs::path> listed = names_in(sources.list);
    names.insert(names.end(), listed.begin(), listed.end());
    check_standard_input(names, sources.list);
  }
  if (names.empty() && sources.list.empty()) {
    throw UsageError("images are required: pictures, folders, - for standard input, or --files-from");
  }
  if (names.empty()) throw Error(fmt::format("{}: there is no name in this list", list_name(sources.list)));
  PictureList list;
  for (const fs::path& name : names) {
    std::error_code ignored;  // what is not there is reported when it is read
    if (name != kStandardInput && fs::is_directory(name, ignored)) {
      add_folder(name, list);
    } else {
      list.files.push_back(name.string());
    }
  }
  return list;
}

}  // namespace convoy
