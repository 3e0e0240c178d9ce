// Reads opcodes and their arguments from the bytes of a pickle.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/io/pickle_opcodes.h"
#include "engine/io/unpickler.h"

namespace convoy::pickle {

/// Every take_... function throws Error if the bytes end, or if torch.save writes no such value. Integers are
/// little-endian.
class PickleCursor {
 public:
  /// Throws Error for more than 16 MiB.
  explicit PickleCursor(std::string_view bytes);

  /// Throws Error with `what` and the position of the current opcode.
  [[noreturn]] void fail(std::string_view what) const;

  /// The bytes that were not taken.
  std::string_view rest() const { return bytes_.substr(position_); }

  /// Takes the opcode PROTO and its argument, which must be 2.
  void take_header();
  Opcode take_opcode();
  std::uint64_t take_unsigned(std::size_t width);
  std::int64_t take_signed(std::size_t width);
  std::int64_t take_long();  // of LONG1: the number of bytes, then these bytes
  double take_double();      // of BINFLOAT, which alone is big-endian
  Value take_string();       // a std::string_view, or a LongText
  Value take_global();       // a Global, or a Foreign

 private:
  std::string_view take(std::size_t count);
  std::string_view take_line();

  std::string_view bytes_;
  std::size_t position_ = 0;
  std::size_t opcode_at_ = 0;
};

}  // namespace convoy::pickle
