// Files that are read. A file that is none is refused at once: opening a FIFO would wait for a writer, and a
// device may have no end.
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

/// Throws Error, "cannot `verb` PATH: it is a FIFO, not a regular file", unless that is what the descriptor
/// refers to. Asking the descriptor leaves no time in which the path could come to name something else.
/// Returns the file's size in bytes.
std::int64_t require_regular(const Descriptor& descriptor, const char* verb,
                             const std::filesystem::path& path);

/// A regular file, read from its beginning. Whatever the program reads at a user's wish is opened here.
class InputFile {
 public:
  /// Throws Error if the file cannot be opened, or is a folder, FIFO, socket or device.
  explicit InputFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::int64_t bytes() const { return bytes_; }
  const Descriptor& descriptor() const { return descriptor_; }

  /// Reads into `out` and returns how many bytes. Fewer than `out` holds mean the end. Throws Error.
  std::size_t read(std::span<std::uint8_t> out);

  /// Goes back to the beginning. Throws Error.
  void rewind();

  /// The next bytes, `most` at the most. Memory is taken for what the file has. Throws Error.
  std::string read_text(std::int64_t most);

 private:
  std::filesystem::path path_;
  Descriptor descriptor_;
  std::int64_t bytes_ = 0;
};

}  // namespace convoy
