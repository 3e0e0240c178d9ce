// A file of events as TensorBoard reads it: records of the TFRecord format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "apps/convoy/tensorboard/proto_message.h"

namespace convoy {

/// CRC-32C (Castagnoli), as RFC 3720 has it.
std::uint32_t crc32c(std::string_view bytes);

/// A record: length, its checksum, the data, their checksum. The checksums are rotated and moved by a
/// constant, as the format wants it.
std::string tf_record(std::string_view data);

/// How many bytes a record begins with: its length and the checksum of that.
inline constexpr std::size_t kRecordHead = 12;

/// The length of the data of the record that begins with these bytes; nothing if they begin none.
std::optional<std::uint64_t> record_length(std::string_view head);

/// Appends events. A file that cannot be written is told once, and is no reason to end a training.
class EventFile {
 public:
  /// Makes a new file in the folder, and the folder.
  explicit EventFile(const std::filesystem::path& folder);

  /// `event` is tensorboard's Event without its time, which is now.
  void write(ProtoMessage event);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
  bool told_ = false;
};

}  // namespace convoy
