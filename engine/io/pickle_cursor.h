// The input of a pickle machine: a position in bytes, and the arguments that opcodes take from there.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/io/pickle_opcodes.h"
#include "engine/io/unpickler.h"

namespace convoy::pickle {

/// Every take throws Error at the end of the bytes, and for what no state dict has. Integers are
/// little-endian.
class PickleCursor {
 public:
  /// Throws Error for more than 16 MiB.
  explicit PickleCursor(std::string_view bytes);

  /// Throws Error with `what` and where the current opcode stands.
  [[noreturn]] void fail(std::string_view what) const;

  bool at_end() const { return position_ == bytes_.size(); }

  /// PROTO 2.
  void take_header();
  Opcode take_opcode();
  std::uint64_t take_unsigned(std::size_t width);
  std::int64_t take_signed(std::size_t width);
  std::int64_t take_long();  // LONG1: a width, then that many bytes
  double take_double();      // big-endian, as only BINFLOAT is
  std::string_view take_string();
  Global take_global();

 private:
  std::string_view take(std::size_t count);
  std::string_view take_line();

  std::string_view bytes_;
  std::size_t position_ = 0;
  std::size_t opcode_at_ = 0;
};

}  // namespace convoy::pickle
