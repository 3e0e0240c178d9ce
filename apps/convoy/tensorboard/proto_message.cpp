#include "apps/convoy/tensorboard/proto_message.h"

#include <bit>

#include "engine/io/little_endian.h"

namespace convoy {
namespace {

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

}  // namespace

void ProtoMessage::varint(std::uint64_t value) {
  for (; value >= 0x80u; value >>= 7) bytes_.push_back(static_cast<char>((value & 0x7fu) | 0x80u));
  bytes_.push_back(static_cast<char>(value));
}

ProtoMessage& ProtoMessage::integer(std::uint32_t field, std::int64_t value) {
  key(field, kVarint);
  varint(static_cast<std::uint64_t>(value));
  return *this;
}

ProtoMessage& ProtoMessage::real(std::uint32_t field, double value) {
  key(field, kFixed64);
  bytes_ += to_little_endian(std::bit_cast<std::uint64_t>(value), 8);
  return *this;
}

ProtoMessage& ProtoMessage::real32(std::uint32_t field, float value) {
  key(field, kFixed32);
  bytes_ += to_little_endian(std::bit_cast<std::uint32_t>(value), 4);
  return *this;
}

ProtoMessage& ProtoMessage::reals(std::uint32_t field, std::span<const double> values) {
  key(field, kLengthDelimited);
  varint(8 * values.size());
  for (const double value : values) bytes_ += to_little_endian(std::bit_cast<std::uint64_t>(value), 8);
  return *this;
}

ProtoMessage& ProtoMessage::text(std::uint32_t field, std::string_view value) {
  key(field, kLengthDelimited);
  varint(value.size());
  bytes_ += value;
  return *this;
}

}  // namespace convoy
