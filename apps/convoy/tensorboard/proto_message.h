// Writes messages of Protocol Buffers. Only the wire format: which fields there are is up to the caller. That
// is less than a .proto file, its generated code and its library would be, and is in every build.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace convoy {

class ProtoMessage {
 public:
  /// int32, int64, bool and enums; a negative number takes ten bytes, as the format has it.
  ProtoMessage& integer(std::uint32_t field, std::int64_t value);
  ProtoMessage& real(std::uint32_t field, double value);
  ProtoMessage& real32(std::uint32_t field, float value);
  /// A repeated double, packed.
  ProtoMessage& reals(std::uint32_t field, std::span<const double> values);
  /// string and bytes.
  ProtoMessage& text(std::uint32_t field, std::string_view value);
  ProtoMessage& message(std::uint32_t field, const ProtoMessage& value) { return text(field, value.bytes_); }

  const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t value);
  void key(std::uint32_t field, std::uint32_t wire_type) { varint(field << 3 | wire_type); }

  std::string bytes_;
};

}  // namespace convoy
