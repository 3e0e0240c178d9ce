// Reads a file's content, plain or gzip-compressed, without trusting what either announces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/data/file.h"

struct z_stream_s;  // zlib's z_stream

namespace convoy {

/// No data set that is held in memory as bytes is larger; a file that announces more is refused.
constexpr std::int64_t kMaxContentBytes = std::int64_t{4} << 30;

class ByteReader {
 public:
  /// gzip is recognised by its first two bytes. Throws Error if the file cannot be read.
  explicit ByteReader(const std::filesystem::path& path);
  ~ByteReader();

  /// Fills `out` as far as the content goes; fewer bytes mean its end. Throws Error for corrupt or truncated
  /// gzip data and for anything but another gzip member behind it.
  std::size_t read(std::span<std::uint8_t> out);

  /// The next `bytes` bytes. Memory grows with the content that is really there, so that a file cannot make
  /// the program allocate what it merely announces. Throws Error if the content ends early or `bytes` is
  /// more than kMaxContentBytes.
  std::vector<std::uint8_t> read_exactly(std::int64_t bytes);

  /// Throws Error if anything follows: at most one byte more is inflated.
  void expect_end();

  /// Throws Error with the file's name in front.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct InflateEnd {
    void operator()(z_stream_s* stream) const;
  };

  std::size_t inflate_into(std::span<std::uint8_t> out);
  bool refill();

  InputFile file_;
  std::unique_ptr<z_stream_s, InflateEnd> stream_;  // none for a plain file
  std::vector<std::uint8_t> compressed_;
  bool member_ended_ = false;
  bool first_member_ = true;
};

}  // namespace convoy
