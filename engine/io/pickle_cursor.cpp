#include "engine/io/pickle_cursor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "convoy/error.h"
#include "engine/io/little_endian.h"
#include "engine/io/quote.h"

namespace convoy::pickle {
namespace {

// Room for 100,000 tensors: a tensor takes some 150 bytes of a pickle.
constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxString = std::size_t{64} << 10;  // of what may be a name

struct NamedGlobal {
  std::string_view module;
  std::string_view name;
  Global global;
};

constexpr auto kGlobals = std::to_array<NamedGlobal>({
    {"collections", "OrderedDict", Global::ordered_dict},
    {"torch._utils", "_rebuild_tensor_v2", Global::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor", Global::rebuild_tensor_v1},
    {"torch._utils", "_rebuild_parameter", Global::rebuild_parameter},
    {"torch", "HalfStorage", Global::half_storage},
    {"torch", "BFloat16Storage", Global::bfloat16_storage},
    {"torch", "FloatStorage", Global::float_storage},
    {"torch", "DoubleStorage", Global::double_storage},
    {"torch", "IntStorage", Global::int_storage},
    {"torch", "LongStorage", Global::long_storage},
});

}  // namespace

PickleCursor::PickleCursor(std::string_view bytes) : bytes_(bytes) {
  if (bytes.size() > kMaxBytes)
    fail(fmt::format(
        "a pickle of {} bytes, more than {}; if there are NumPy arrays in it, save tensors in their "
        "place, by torch.from_numpy(array): their elements are beside the pickle",
        bytes.size(), kMaxBytes));
}

void PickleCursor::fail(std::string_view what) const {
  throw Error(fmt::format("pickle byte {}: {}", opcode_at_, what));
}

void PickleCursor::take_header() {
  if (take_opcode() != Opcode::proto) fail("not a pickle of protocol 2");
  if (const auto protocol = take_unsigned(1); protocol != 2) {
    fail(
        fmt::format("pickle protocol {}, not 2; load it with torch.load and save it again with torch.save, "
                    "without pickle_protocol",
                    protocol));
  }
}

Opcode PickleCursor::take_opcode() {
  opcode_at_ = position_;
  return static_cast<Opcode>(take(1)[0]);
}

double PickleCursor::take_double() {
  std::uint64_t bits = 0;
  for (const char digit : take(8)) bits = bits << 8 | static_cast<unsigned char>(digit);
  return std::bit_cast<double>(bits);
}

std::string_view PickleCursor::take(std::size_t count) {
  if (count > bytes_.size() - position_) fail("the pickle is truncated");
  return bytes_.substr(std::exchange(position_, position_ + count), count);
}

std::string_view PickleCursor::take_line() {
  const std::size_t end = bytes_.find('\n', position_);
  if (end == std::string_view::npos) fail("the pickle is truncated");
  const std::string_view line = take(end - position_);
  ++position_;
  return line;
}

std::uint64_t PickleCursor::take_unsigned(std::size_t width) { return from_little_endian(take(width)); }

// Two's complement, little-endian.
std::int64_t PickleCursor::take_signed(std::size_t width) {
  if (width == 0) return 0;
  const std::size_t unused_bits = 64 - 8 * width;
  return static_cast<std::int64_t>(take_unsigned(width) << unused_bits) >> unused_bits;
}

std::int64_t PickleCursor::take_long() {
  const std::size_t width = take_unsigned(1);
  if (width > 8) fail("an integer of more than 64 bits");
  return take_signed(width);
}

Value PickleCursor::take_string() {
  const std::string_view text = take(take_unsigned(4));
  if (text.size() > kMaxString) return LongText{text.size()};
  return text;
}

Value PickleCursor::take_global() {
  const std::string_view module = take_line();
  const std::string_view name = take_line();
  const auto* const entry = std::ranges::find_if(
      kGlobals, [&](const NamedGlobal& g) { return g.module == module && g.name == name; });
  if (entry != kGlobals.end()) return entry->global;
  return Foreign{module, name};
}

}  // namespace convoy::pickle
