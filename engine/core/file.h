// Files that are opened at a user's wish. What is no regular file is refused at once: opening a FIFO would
// wait for its other end, and a device may have no end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace convoy {

/// A file descriptor with one owner.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) noexcept : value_(value) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const noexcept { return value_; }

  /// Gives the descriptor to the caller.
  int release() noexcept;

  /// As close(2): returns 0, or -1 and sets errno. A network file system may report a failed write only here.
  int close() noexcept;

 private:
  int value_;
};

/// Opens a regular file with `flags` as open(2) has them. Throws Error if it cannot be opened, and "cannot
/// VERB PATH: it is a FIFO, not a regular file" for a folder, FIFO, socket or device. That is asked of the
/// descriptor, so the path cannot come to name something else in between.
Descriptor open_regular(const std::filesystem::path& path, int flags, const char* verb);

/// A regular file, read from its beginning. Whatever the program reads at a user's wish is opened by it.
class InputFile {
 public:
  /// Throws Error as open_regular, with "read" for the verb.
  explicit InputFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::int64_t bytes() const { return bytes_; }
  const Descriptor& descriptor() const { return descriptor_; }

  /// Reads into `out` and returns how many bytes. Fewer than `out` holds mean the end. Throws Error.
  std::size_t read(std::span<std::uint8_t> out);

  /// Goes to a byte, counted from the beginning. Throws Error.
  void seek(std::int64_t byte);

  /// Goes back to the beginning. Throws Error.
  void rewind() { seek(0); }

  /// The next bytes, `most` at the most. Memory is taken for what the file has. Throws Error.
  std::string read_text(std::int64_t most);

 private:
  std::filesystem::path path_;
  Descriptor descriptor_;
  std::int64_t bytes_ = 0;
};

}  // namespace convoy
