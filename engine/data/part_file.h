// Files that are written under a temporary name, and continued by a later run. Errors say the reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "engine/core/file.h"

namespace convoy {

/// The file TARGET.part, which this process locks until it is published as TARGET. If it is not published, it
/// stays, and a later run can continue it. An empty one is deleted.
class PartFile {
 public:
  /// Opens or creates the part and goes to its end. Throws Error if it cannot be written, is no regular file,
  /// or if another process has locked it.
  explicit PartFile(std::filesystem::path target);
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile();

  const std::filesystem::path& path() const { return path_; }
  std::int64_t bytes() const { return bytes_; }

  /// Throws Error if the disk is full or fails. The bytes that were written before stay.
  void append(std::span<const std::uint8_t> bytes);

  /// Empties the part. Throws Error.
  void clear();

  /// Makes the part durable under the target's name: fsync, rename, fsync of the folder. Throws Error.
  void publish();

 private:
  void open();

  std::filesystem::path target_;
  std::filesystem::path path_;
  Descriptor descriptor_;
  std::int64_t bytes_ = 0;
  bool published_ = false;
};

/// Creates a folder, and those above it if they are missing. Throws Error.
void create_folder(const std::filesystem::path& folder);

}  // namespace convoy
