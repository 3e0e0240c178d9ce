// Files as this room needs them: opened with a reason when they cannot be, written under a temporary name.
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
  /// Throws Error if it cannot be opened or is a folder, pipe or device.
  explicit InputFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::int64_t bytes() const { return bytes_; }

  /// Fills `out` as far as the file goes; fewer bytes mean its end. Throws Error.
  std::size_t read(std::span<std::uint8_t> out);

 private:
  std::filesystem::path path_;
  Descriptor descriptor_;
  std::int64_t bytes_ = 0;
};

/// TARGET.part, held by this process alone until it is published as TARGET. What it holds stays for a later
/// run to resume, unless it is empty.
class PartFile {
 public:
  /// Opens or creates the part and goes to its end. Throws Error if it cannot be written or another process
  /// is writing it.
  explicit PartFile(std::filesystem::path target);
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile();

  const std::filesystem::path& path() const { return path_; }
  std::int64_t bytes() const { return bytes_; }

  /// Throws Error, with what was written before kept, if the disk is full or fails.
  void append(std::span<const std::uint8_t> bytes);

  /// Starts over from nothing. Throws Error.
  void clear();

  /// Makes it durable under the target's name: fsync, rename, fsync of the folder. Throws Error.
  void publish();

 private:
  void open();

  std::filesystem::path target_;
  std::filesystem::path path_;
  Descriptor descriptor_;
  std::int64_t bytes_ = 0;
  bool published_ = false;
};

/// Creates a folder and those above it. Throws Error.
void create_folder(const std::filesystem::path& folder);

}  // namespace convoy
