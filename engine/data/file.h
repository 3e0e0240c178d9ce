// Files to read from, and files that are written under a temporary name. Errors say the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace convoy {

/// A file descriptor with one owner.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) noexcept : value_(value) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const noexcept { return value_; }

 private:
  int value_;
};

/// A regular file, read from its beginning.
class InputFile {
 public:
  /// Throws Error if the file cannot be opened, or is a folder, FIFO or device.
  explicit InputFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::int64_t bytes() const { return bytes_; }

  /// Reads into `out` and returns how many bytes. Fewer than `out` holds mean the end. Throws Error.
  std::size_t read(std::span<std::uint8_t> out);

 private:
  std::filesystem::path path_;
  Descriptor descriptor_;
  std::int64_t bytes_ = 0;
};

/// The file TARGET.part, which this process locks until it is published as TARGET. If it is not published, it
/// stays, and a later run can continue it. An empty one is deleted.
class PartFile {
 public:
  /// Opens or creates the part and goes to its end. Throws Error if it cannot be written, or if another
  /// process has locked it.
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
