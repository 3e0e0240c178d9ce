// One process at a time in a folder.
#pragma once

#include <filesystem>

namespace convoy {

inline constexpr const char* kLockFile = ".lock";

/// Holds the file `.lock` of a folder locked (flock), with the process's number in it. The lock ends with the
/// process, however that ends.
class FolderLock {
 public:
  /// Throws Error that names the process that holds the lock, or says why the file cannot be made. On a file
  /// system without locks it says so in a note and goes on.
  explicit FolderLock(const std::filesystem::path& folder);
  /// Removes the file.
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

}  // namespace convoy
