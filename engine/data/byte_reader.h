// Reads the content of a file, plain or gzip-compressed, without trusting the sizes that it announces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/file.h"

struct z_stream_s;  // zlib's z_stream

namespace convoy {

/// More than that so many bytes that deflate has packed cannot become.
std::int64_t most_unpacked(std::int64_t packed_bytes);

/// Up to `bytes` bytes from `read`, which fills a buffer and returns fewer only at the end. Memory grows with
/// what was read: 64 MiB at first, then doubled. Growing takes half as much again, which those that are
/// known to be there, `held` of them, do not need.
std::vector<std::uint8_t> read_in_steps(std::int64_t bytes,
                                        const std::function<std::size_t(std::span<std::uint8_t>)>& read,
                                        std::int64_t held = 0);

class ByteReader {
 public:
  /// Recognises gzip by the file's first two bytes. Throws Error if the file cannot be read.
  explicit ByteReader(const std::filesystem::path& path);
  ~ByteReader();

  /// Reads the next bytes into `out` and returns how many. Fewer than `out` holds mean the end of the
  /// content. Throws Error for corrupt or truncated gzip data. Data behind it that is not another gzip member
  /// is not content.
  std::size_t read(std::span<std::uint8_t> out);

  /// The next `bytes` bytes. Of a plain file no more are allocated than it has. Of packed content memory
  /// grows with the bytes that were unpacked, so that a file cannot make the program allocate memory for data
  /// that it only announces. Throws Error if the content ends early or if `bytes` are more than the machine's
  /// memory.
  std::vector<std::uint8_t> read_exactly(std::int64_t bytes);

  /// More than that the content cannot have, however well it is packed.
  std::int64_t most_bytes() const;

  /// So many it surely has: a plain file's size, and none of packed content.
  std::int64_t held_bytes() const { return stream_ ? 0 : file_.bytes(); }

  /// Throws Error if more content follows. Decompresses at most one byte to find out.
  void expect_end();

  /// Throws Error with `what` behind the file's name.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct InflateEnd {
    void operator()(z_stream_s* stream) const;
  };

  std::size_t inflate_into(std::span<std::uint8_t> out);
  bool refill();
  bool next_member_begins();

  InputFile file_;
  std::unique_ptr<z_stream_s, InflateEnd> stream_;  // none for a plain file
  std::vector<std::uint8_t> compressed_;
  bool member_ended_ = false;
};

}  // namespace convoy
