// Which pictures `convoy predict` was asked about.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace convoy {

/// What stands for standard input among files.
inline constexpr const char* kStandardInput = "-";

/// Where to look for pictures.
struct PictureSources {
  std::vector<std::filesystem::path> named;  // files, folders, or kStandardInput
  std::filesystem::path list;                // a file of such names, one a line; empty: none
};

/// The pictures of some sources, in the order in which those are named.
struct PictureList {
  std::vector<std::string> files;  // paths, or kStandardInput
  bool whole = true;               // false: a folder has no picture or cannot be read, and a line told so
};

/// Lists the sources. A folder stands for all files in it and below it that have a picture's ending, sorted
/// by name, a folder's content where its name stands. Links to folders are not followed, and names that begin
/// with a dot are left out. How many other files a folder has is said in a line. Throws UsageError without
/// any source, if standard input would be read twice or is a terminal, Error if the list cannot be read, is
/// none, or is all that there is and has no name.
PictureList list_pictures(const PictureSources& sources);

}  // namespace convoy
