#include "engine/data/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <string_view>

#include "engine/data/byte_reader.h"
#include "engine/data/host_memory.h"

namespace convoy {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kLongestHeader = 64 << 10;  // NumPy's own have 128 bytes
constexpr std::size_t kMostAxes = 32;             // as NumPy

struct Header {
  std::string type;
  std::optional<bool> fortran;
  std::optional<std::vector<std::int64_t>> shape;
};

/// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  /// Nothing if it is written in another way.
  std::optional<Header> parse() {
    Header header;
    if (!skip("{")) return std::nullopt;
    while (!skip("}")) {
      const auto key = text();
      if (!key || !skip(":") || !value(*key, header) || (!skip(",") && !next_is('}'))) return std::nullopt;
    }
    blanks();
    if (!rest_.empty() || !header.fortran || !header.shape) return std::nullopt;
    return header;
  }

 private:
  bool value(std::string_view key, Header& header) {
    if (key == "descr") {
      if (next_is('[')) {  // a record of several types
        header.type = "a record";
        return skip_list();
      }
      const auto type = text();
      header.type = type.value_or("");
      return type.has_value();
    }
    if (key == "fortran_order") {
      header.fortran = skip("True");
      return *header.fortran || skip("False");
    }
    if (key != "shape") return false;
    header.shape = extents();
    return header.shape.has_value();
  }

  void blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
  }

  bool next_is(char c) {
    blanks();
    return rest_.starts_with(c);
  }

  bool skip(std::string_view word) {
    blanks();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  /// What a record's fields are does not matter: it is refused.
  bool skip_list() {
    const std::size_t end = rest_.rfind(']');
    if (end == std::string_view::npos) return false;
    rest_.remove_prefix(end + 1);
    return true;
  }

  std::optional<std::string> text() {
    blanks();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return std::nullopt;
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string inner(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return inner;
  }

  std::optional<std::vector<std::int64_t>> extents() {
    std::vector<std::int64_t> shape;
    if (!skip("(")) return std::nullopt;
    while (!skip(")")) {
      blanks();
      std::int64_t extent = 0;
      std::size_t digits = 0;
      while (digits < rest_.size() && std::isdigit(static_cast<unsigned char>(rest_[digits])) != 0) {
        if (__builtin_mul_overflow(extent, 10, &extent) ||
            __builtin_add_overflow(extent, rest_[digits] - '0', &extent)) {
          return std::nullopt;
        }
        ++digits;
      }
      if (digits == 0 || shape.size() == kMostAxes) return std::nullopt;
      rest_.remove_prefix(digits);
      skip("L");  // Python 2 wrote long numbers so
      shape.push_back(extent);
      if (!skip(",") && !next_is(')')) return std::nullopt;
    }
    return shape;
  }

  std::string_view rest_;
};

/// The type behind "<f4".
std::optional<NumberType> type_of(const std::string& descr) {
  using Kind = NumberType::Kind;
  if (descr.size() != 3 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos)
    return std::nullopt;
  const std::int64_t bytes = descr[2] - '0';
  const bool known = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  NumberType type{.kind = Kind::whole, .bytes = bytes, .big_endian = descr[0] == '>'};
  if (descr[1] == 'i') type.kind = Kind::signed_whole;
  if (descr[1] == 'f') type.kind = Kind::real;
  if (descr[1] == 'b') type.kind = Kind::truth;
  const bool fits = descr[1] == 'u' || descr[1] == 'i' || (descr[1] == 'b' && bytes == 1) ||
                    (descr[1] == 'f' && bytes >= 2);
  return known && fits ? std::optional(type) : std::nullopt;
}

/// What is wrong with a type, and what to do.
std::string refusal_of(const std::string& descr) {
  if (descr.find('O') != std::string::npos || descr == "a record") {
    return "the array holds Python objects or records, which are not read; make it an array of uint8";
  }
  const bool printable = std::ranges::all_of(descr, [](char c) { return c > ' ' && c <= '~'; });
  return fmt::format("the array is of type {}; make it uint8 or float32, by astype",
                     printable && descr.size() <= 16 ? descr : "unknown to NumPy");
}

std::string header_text(const NpySource& source) {
  std::array<std::uint8_t, 8> begin{};
  const std::size_t got = source.read(begin);
  const bool numpy =
      got == begin.size() && std::equal(kMagic.begin(), kMagic.end(), begin.begin(),
                                        [](char a, auto b) { return static_cast<std::uint8_t>(a) == b; });
  if (!numpy) source.name.fail("not a NumPy array: it does not begin with \\x93NUMPY");
  if (begin[6] < 1 || begin[6] > 3)
    source.name.fail(fmt::format("NumPy's format {}.{} is not known", begin[6], begin[7]));
  std::array<std::uint8_t, 4> length{};
  const std::size_t width = begin[6] == 1 ? 2 : 4;
  if (source.read(std::span(length).first(width)) < width)
    source.name.fail("truncated within NumPy's header");
  const std::size_t bytes =
      length[0] | std::size_t{length[1]} << 8 | std::size_t{length[2]} << 16 | std::size_t{length[3]} << 24;
  if (bytes > kLongestHeader) source.name.fail(fmt::format("NumPy's header of {} bytes is too long", bytes));
  std::string text(bytes, '\0');
  if (source.read({reinterpret_cast<std::uint8_t*>(text.data()), bytes}) < bytes) {
    source.name.fail("truncated within NumPy's header");
  }
  return text;
}

/// The elements of an array in Fortran's order, the first axis fastest.
std::vector<std::uint8_t> in_order_of_c(const NpyArray& array) {
  const auto width = static_cast<std::size_t>(array.type.bytes);
  std::vector<std::uint8_t> ordered(array.elements.size());
  std::vector<std::int64_t> index(array.shape.size(), 0);  // of the next element, in C's order
  for (std::size_t at = 0; at < ordered.size(); at += width) {
    std::int64_t place = 0;
    for (std::size_t axis = index.size(); axis-- > 0;) place = place * array.shape[axis] + index[axis];
    std::copy_n(array.elements.begin() + place * array.type.bytes, width,
                ordered.begin() + static_cast<std::ptrdiff_t>(at));
    for (std::size_t axis = index.size(); axis-- > 0 && ++index[axis] == array.shape[axis];) index[axis] = 0;
  }
  return ordered;
}

}  // namespace

NpyArray read_npy(const NpySource& source) {
  const std::string text = header_text(source);
  const std::optional<Header> header = HeaderParser(text).parse();
  if (!header) source.name.fail("NumPy's header is malformed; save the array again");
  const std::optional<NumberType> type = type_of(header->type);
  if (!type) source.name.fail(refusal_of(header->type));
  std::int64_t bytes = type->bytes;
  for (const std::int64_t extent : *header->shape) {
    if (extent == 0) source.name.fail("the array is empty");
    if (__builtin_mul_overflow(bytes, extent, &bytes)) source.name.fail("the array's shape overflows");
  }
  if (bytes > source.most_bytes) {
    source.name.fail(fmt::format("truncated: announces {} bytes, can hold {} at most; get the file again",
                                 bytes, source.most_bytes));
  }
  require_memory(bytes, source.name);
  NpyArray array{.shape = *header->shape,
                 .type = *type,
                 .elements = read_in_steps(bytes, source.read, source.held_bytes)};
  std::uint8_t beyond = 0;
  if (std::ssize(array.elements) < bytes) {
    source.name.fail(fmt::format("truncated: announces {} bytes, has {}; get the file again", bytes,
                                 array.elements.size()));
  }
  if (source.read({&beyond, 1}) != 0) source.name.fail("holds more data than its header announces");
  if (*header->fortran && array.shape.size() > 1) array.elements = in_order_of_c(array);
  return array;
}

}  // namespace convoy
