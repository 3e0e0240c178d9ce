// A folder of pictures in which each class has a folder: its listing, without a look into the pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace convoy {

struct ListedPicture {
  std::string name;  // below the tree's folder: "train/cat/1.png"
  std::uint8_t label = 0;
  std::int64_t bytes = 0;
  std::int64_t modified = 0;  // when its content was written, in nanoseconds
  std::int64_t changed = 0;   // when it or what is known of it was; no program sets this time at will
};

struct PictureTree {
  std::filesystem::path folder;
  std::vector<std::string> classes;  // the names of the folders, sorted: the label is the position
  std::vector<ListedPicture> train;  // all of them, where there is no test half; mixed, by a fixed seed
  std::vector<ListedPicture> test;
};

/// Whether a folder looks like such a tree: one of the folders in it, or one below, holds a file whose name
/// ends as a picture's does. Only some thousand files are looked at.
bool is_picture_tree(const std::filesystem::path& folder);

/// Lists all files in the classes' folders and below, but hidden ones. The halves are the folders `train` and
/// `test`, or `val`; without `train` the folders are the classes. A folder without folders in it is no half:
/// it may be a class that is called so. `say` is told of what is left out. Throws
/// Error that names the folder or file: for a class without a picture, one class or more than 256, a name
/// that is not UTF-8, halves of different classes, a picture beside the classes, and what cannot be read.
PictureTree list_pictures(const std::filesystem::path& folder,
                          const std::function<void(const std::string&)>& say);

}  // namespace convoy
