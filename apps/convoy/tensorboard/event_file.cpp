#include "apps/convoy/tensorboard/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <system_error>

#include "apps/convoy/tensorboard/messages.h"
#include "apps/convoy/terminal.h"
#include "engine/io/little_endian.h"

namespace convoy {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1u) != 0 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    table[i] = crc;
  }
  return table;
}

std::string checksum_of(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return to_little_endian((crc >> 15 | crc << 17) + 0xa282ead8u, 4);
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = crc_table();
  std::uint32_t crc = 0xffffffffu;
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xffu] ^ crc >> 8;
  return ~crc;
}

std::string tf_record(std::string_view data) {
  const std::string length = to_little_endian(data.size(), 8);
  return length + checksum_of(length) + std::string(data) + checksum_of(data);
}

std::optional<std::uint64_t> record_length(std::string_view head) {
  if (head.size() < kRecordHead) return std::nullopt;
  const std::string_view length = head.substr(0, 8);
  return head.substr(8, 4) == checksum_of(length) ? std::optional(from_little_endian(length)) : std::nullopt;
}

EventFile::EventFile(const std::filesystem::path& folder) {
  std::error_code ignored;  // what cannot be made cannot be written either
  std::filesystem::create_directories(folder, ignored);
  // TensorBoard reads the files of a folder in the order of their names: the time comes first.
  path_ = folder / fmt::format("events.out.tfevents.{:010.0f}.convoy.{}", seconds_now(), getpid());
  for (int next = 1; std::filesystem::exists(path_, ignored); ++next) {
    path_ = folder / fmt::format("events.out.tfevents.{:010.0f}.convoy.{}.{}", seconds_now(), getpid(), next);
  }
  file_.open(path_, std::ios::binary);
  write(first_event());
}

void EventFile::write(ProtoMessage event) {
  event.real(1, seconds_now());
  if (file_ << tf_record(event.bytes()) << std::flush || told_) return;
  told_ = true;
  say_note(fmt::format("{} cannot be written; the training goes on without it", path_.string()));
}

}  // namespace convoy
