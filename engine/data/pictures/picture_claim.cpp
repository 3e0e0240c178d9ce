#include "engine/data/pictures/picture_claim.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string_view>

#include "convoy/error.h"

namespace convoy {
namespace {

using Bytes = std::span<const unsigned char>;

// The most that deflate can reach (zlib's manual).
constexpr std::int64_t kMaxDeflateRatio = 1032;
// The shortest code of a JPEG has 1 bit, and each block of 8 x 8 pixels has a code in some component.
constexpr std::int64_t kBlock = 8, kBlocksPerByte = 8;

constexpr std::string_view kPng = "\x89PNG\r\n\x1a\n", kJpeg = "\xff";

/// The most pixels that a byte can stand for.
struct Packing {
  std::string_view magic;
  std::int64_t pixels_per_byte;
};
constexpr Packing kPackings[] = {
    {"GIF8", 2731},  // LZW: a code of 12 bits stands for 4096 pixels at most
    {"BM", 8},       // a bit a pixel
    {"8BPS", 64},    // PackBits: 128 bytes of a channel in 2
    {"P5", 1},       // a byte a pixel
    {"P6", 1},       // three bytes a pixel
    {"", 64},        // TGA, which has no magic: 128 pixels in 2 bytes
};

bool begins(Bytes bytes, std::string_view with) {
  return bytes.size() >= with.size() &&
         std::equal(with.begin(), with.end(), bytes.begin(),
                    [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; });
}

/// Bits of a pixel by IHDR's bit depth and colour type; 64 for a type that there is none of. Source: W3C PNG,
/// third edition, 11.2.1.
std::int64_t bits_of_pixel(unsigned depth, unsigned colour) {
  constexpr unsigned kChannels[] = {1, 0, 3, 1, 2, 0, 4};
  const unsigned channels = colour < std::size(kChannels) ? kChannels[colour] : 0;
  return channels == 0 ? 64 : std::int64_t{depth} * channels;
}

/// Calls visitor(type and content) for each chunk of a PNG. Throws Error if one ends behind the file.
template <typename Visitor>
void each_chunk(Bytes file, Visitor visitor) {
  constexpr std::size_t kSignature = 8, kFrame = 12;  // of a chunk: length, type, checksum
  for (Bytes rest = file.subspan(kSignature); rest.size() >= kFrame;) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | rest[i];
    if (length > rest.size() - kFrame) throw Error("a chunk ends behind the file; get the file again");
    const Bytes chunk = rest.subspan(4, 4 + length);
    visitor(chunk);
    if (begins(chunk, "IEND")) break;
    rest = rest.subspan(kFrame + length);
  }
}

/// Whether `file` may hold a PNG's pixels.
bool png_holds(Bytes file, std::int64_t width, std::int64_t height) {
  std::int64_t bits = 1;
  each_chunk(file, [&](Bytes chunk) {
    if (begins(chunk, "IHDR") && chunk.size() >= 14) bits = bits_of_pixel(chunk[12], chunk[13]);
  });
  const std::int64_t row = 1 + (width * bits + 7) / 8;  // 1: the filter's type
  return row * height / kMaxDeflateRatio <= std::ssize(file);
}

std::size_t number(Bytes bytes, std::size_t offset) {
  return offset + 2 <= bytes.size() ? std::size_t{bytes[offset]} << 8 | bytes[offset + 1] : 0;
}

/// Throws Error for a table of Huffman codes with more than 256, which stb_image 2.27 writes behind its own.
/// `segment` begins with its length; there may be several tables in it. Source: ITU-T T.81, B.2.4.2.
void check_codes(Bytes segment) {
  constexpr std::size_t kLengths = 16;  // a code has 1 to 16 bits
  const std::size_t end = std::min(number(segment, 0), segment.size());
  for (std::size_t at = 2; at < end;) {  // as the decoder, which reads zeros behind the end of the file
    const Bytes rest = segment.subspan(at + 1);
    const Bytes counts = rest.first(std::min(kLengths, rest.size()));
    const std::size_t codes = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
    if (codes > 256) throw Error(fmt::format("a table of {} Huffman codes; get the file again", codes));
    at += 1 + kLengths + codes;
  }
}

/// Looks at all tables of a JPEG up to its end; a phone may have put a film behind that. What looks like a
/// marker within a segment is none, and a scan's data have none but restarts.
void check_jpeg(Bytes file) {
  constexpr unsigned char kHuffman = 0xc4, kRestart = 0xd0, kStart = 0xd8, kEnd = 0xd9;
  for (std::size_t at = 0; at + 1 < file.size(); ++at) {
    const unsigned char marker = file[at + 1];
    if (file[at] != 0xff || marker == 0 || marker == 0xff || (marker >= kRestart && marker <= kStart))
      continue;
    if (marker == kEnd) return;
    const Bytes segment = file.subspan(at + 2);
    if (marker == kHuffman) check_codes(segment);
    at += 1 + number(segment, 0);
  }
}

/// Throws Error for a number of more than 9 digits in the header of a PNM. The decoder would let it overflow.
void check_pnm(Bytes file) {
  constexpr int kNumbers = 3, kMostDigits = 9;  // width, height, largest value
  bool in_comment = false;
  for (int numbers = 0, digits = 0; const unsigned char c : file.subspan(2)) {
    in_comment = in_comment ? c != '\n' && c != '\r' : c == '#';
    if (!in_comment && c >= '0' && c <= '9') {
      if (++digits > kMostDigits) throw Error("a number of more than 9 digits in the header");
    } else if (digits > 0) {
      digits = 0;
      if (++numbers == kNumbers) return;
    }
  }
}

bool holds(Bytes file, std::int64_t width, std::int64_t height) {
  if (begins(file, kPng)) return png_holds(file, width, height);
  if (begins(file, kJpeg)) {
    const std::int64_t blocks = ((width + kBlock - 1) / kBlock) * ((height + kBlock - 1) / kBlock);
    return blocks / kBlocksPerByte <= std::ssize(file);
  }
  const auto* const packing =
      std::ranges::find_if(kPackings, [&](const Packing& known) { return begins(file, known.magic); });
  return width * height / packing->pixels_per_byte <= std::ssize(file);
}

}  // namespace

void require_sound(Bytes file) {
  if (begins(file, kPng)) each_chunk(file, [](Bytes) {});
  if (begins(file, kJpeg)) check_jpeg(file);
  if (begins(file, "P5") || begins(file, "P6")) check_pnm(file);
}

void require_plausible(Bytes file, std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1) throw Error(fmt::format("it has {} x {} pixels", width, height));
  if (!holds(file, width, height)) {
    throw Error(
        fmt::format("{} bytes cannot hold {} x {} pixels; get the file again", file.size(), width, height));
  }
}

}  // namespace convoy
