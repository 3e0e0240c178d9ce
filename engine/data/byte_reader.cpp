#include "engine/data/byte_reader.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "convoy/error.h"
#include "engine/data/host_memory.h"

namespace convoy {
namespace {

constexpr std::size_t kCompressedChunk = 256 << 10;
constexpr std::int64_t kFirstAllocation = 64 << 20;  // enough for MNIST
constexpr std::int64_t kMaxDeflateRatio = 1032;      // the most that deflate can reach (zlib's manual)

bool begins_like_gzip(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

}  // namespace

std::int64_t most_unpacked(std::int64_t packed_bytes) {
  std::int64_t most = 0;
  const bool overflows = __builtin_mul_overflow(packed_bytes, kMaxDeflateRatio, &most);
  return overflows ? std::numeric_limits<std::int64_t>::max() : most;
}

std::vector<std::uint8_t> read_in_steps(std::int64_t bytes,
                                        const std::function<std::size_t(std::span<std::uint8_t>)>& read,
                                        std::int64_t held) {
  std::vector<std::uint8_t> content;
  content.reserve(static_cast<std::size_t>(std::min(bytes, held)));
  std::int64_t done = 0;
  while (done < bytes) {
    const std::int64_t end = std::min(bytes, done + std::max(done, kFirstAllocation));
    content.resize(static_cast<std::size_t>(end));
    const auto wanted = std::span(content).subspan(static_cast<std::size_t>(done));
    const std::size_t got = read(wanted);
    done += static_cast<std::int64_t>(got);
    if (got < wanted.size()) break;
  }
  content.resize(static_cast<std::size_t>(done));
  return content;
}

void ByteReader::InflateEnd::operator()(z_stream_s* stream) const {
  static_cast<void>(inflateEnd(stream));
  delete stream;
}

ByteReader::ByteReader(const std::filesystem::path& path) : file_(path) {
  std::array<std::uint8_t, 2> magic{};
  const bool is_gzip = file_.read(magic) == magic.size() && begins_like_gzip(magic);
  file_.rewind();
  if (!is_gzip) return;
  auto stream = std::make_unique<z_stream>();
  if (inflateInit2(stream.get(), 16 + MAX_WBITS) != Z_OK) fail("zlib cannot start: out of memory");
  stream_.reset(stream.release());
  compressed_.resize(kCompressedChunk);
}

ByteReader::~ByteReader() = default;

void ByteReader::fail(const std::string& what) const {
  throw Error(fmt::format("{}: {}", file_.path().string(), what));
}

std::size_t ByteReader::read(std::span<std::uint8_t> out) {
  return stream_ ? inflate_into(out) : file_.read(out);
}

bool ByteReader::refill() {
  if (stream_->avail_in == 0) {
    stream_->next_in = compressed_.data();
    stream_->avail_in = static_cast<uInt>(file_.read(compressed_));
  }
  return stream_->avail_in != 0;
}

// RFC 1952, 2.2: a gzip file may have several members. What follows and is none, such as the zeros that a
// tape's blocks are filled up with, is left alone, as gzip does: the members' checksums have been compared.
bool ByteReader::next_member_begins() {
  if (!refill()) return false;
  if (stream_->avail_in == 1) {  // the last byte of a chunk
    compressed_[0] = *stream_->next_in;
    stream_->next_in = compressed_.data();
    stream_->avail_in += static_cast<uInt>(file_.read(std::span(compressed_).subspan(1)));
  }
  return begins_like_gzip({stream_->next_in, stream_->avail_in});
}

std::size_t ByteReader::inflate_into(std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    if (member_ended_) {
      if (!next_member_begins()) break;
      static_cast<void>(inflateReset(stream_.get()));
      member_ended_ = false;
    } else if (!refill()) {
      fail("truncated gzip data; get the file again");
    }
    const std::size_t room = std::min<std::size_t>(out.size() - filled, std::numeric_limits<uInt>::max());
    stream_->next_out = out.data() + filled;
    stream_->avail_out = static_cast<uInt>(room);
    const int status = inflate(stream_.get(), Z_NO_FLUSH);
    filled += room - stream_->avail_out;
    if (status == Z_STREAM_END) {
      member_ended_ = true;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      fail(fmt::format("corrupt gzip data ({}); get the file again",
                       stream_->msg ? stream_->msg : zError(status)));
    }
  }
  return filled;
}

std::vector<std::uint8_t> ByteReader::read_exactly(std::int64_t bytes) {
  if (bytes > most_bytes()) {
    fail(fmt::format("truncated: announces {} bytes, a file of {} bytes cannot hold them", bytes,
                     file_.bytes()));
  }
  require_memory(bytes, {file_.path().string()});
  std::vector<std::uint8_t> content = read_in_steps(
      bytes, [this](std::span<std::uint8_t> out) { return read(out); }, held_bytes());
  if (std::ssize(content) < bytes) {
    fail(fmt::format("truncated: announces {} bytes, has {}; get the file again", bytes, content.size()));
  }
  return content;
}

std::int64_t ByteReader::most_bytes() const { return stream_ ? most_unpacked(file_.bytes()) : file_.bytes(); }

void ByteReader::expect_end() {
  std::uint8_t extra = 0;
  if (read({&extra, 1}) != 0) fail("holds more data than its header announces");
}

}  // namespace convoy
