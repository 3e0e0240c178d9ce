// What the fuzz targets share: a file in memory, and the rules that hold for every parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "convoy/error.h"
#include "engine/core/file.h"

namespace convoy::fuzz {

/// Ends the process, which is what a fuzzer takes for a crash, unless `holds`.
inline void require(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "this should hold: %s\n", rule);
  std::abort();
}

/// The bytes of an input, taken from the front for the parameters that a target needs beside a file.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  /// A number of `width` bytes, little-endian; what is missing counts as 0.
  std::size_t take_number(std::size_t width) {
    std::size_t number = 0, shift = 0;
    for (const char byte : take(width)) {
      number |= std::size_t{static_cast<unsigned char>(byte)} << shift;
      shift += 8;
    }
    return number;
  }

  /// `count` bytes, or as many as there are.
  std::string_view take(std::size_t count) {
    const std::string_view front = rest_.substr(0, count);
    rest_.remove_prefix(front.size());
    return front;
  }

  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// A regular file without a folder, for parsers that take a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  std::filesystem::path path() const;

 private:
  Descriptor descriptor_;
};

/// The most memory that a parser may hold at a time: so many bytes for each byte of the file, and a constant.
struct Bound {
  std::size_t per_byte = 0;
  std::size_t constant = 0;
};

/// Calls `measured` and returns the most bytes that were allocated at a time during the call, by malloc and
/// by new. Without a sanitizer's allocator nothing is counted, and 0 is returned.
std::size_t peak_memory(void (*measured)(void*), void* argument);

/// What a parser may do with `bytes` bytes of a file: return, or throw Error with a message of one line. It
/// holds no more memory than `bound` allows. Returns whether it returned. Anything else that it throws ends
/// the process.
template <typename Parse>
bool accepts(std::size_t bytes, const Bound& bound, Parse parse) {
  struct Call {
    Parse& parse;
    bool accepted = true;
    std::string message = {};
  } call{parse};
  const std::size_t peak = peak_memory(
      [](void* argument) {
        Call& made = *static_cast<Call*>(argument);
        try {
          made.parse();
        } catch (const Error& error) {
          made.accepted = false;
          made.message = error.what();
        }
      },
      &call);
  const std::size_t most = bound.constant + bound.per_byte * bytes;
  if (peak > most)
    std::fprintf(stderr, "%zu bytes made the parser hold %zu, more than %zu\n", bytes, peak, most);
  require(peak <= most, "memory is bounded by the file's size");
  static const bool say = std::getenv("FUZZ_SAY") != nullptr;
  if (say) std::fprintf(stderr, "%s; peak %zu bytes\n", call.accepted ? "read" : call.message.c_str(), peak);
  if (!call.accepted) {
    require(!call.message.empty(), "an error has a message");
    for (const char c : call.message)
      require(c >= ' ' && c <= '~', "a message is one line of printable ASCII");
  }
  return call.accepted;
}

}  // namespace convoy::fuzz

/// A target: parses the bytes and checks what must hold of the result. Its name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
