// A file of events as TensorBoard reads it: records of the TFRecord format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "apps/convoy/tensorboard/proto_message.h"

namespace convoy {

/// CRC-32C (Castagnoli), as RFC 3720 has it.
std::uint32_t crc32c(std::string_view bytes);

/// A record: length, its checksum, the data, their checksum. The checksums are rotated and moved by a
/// constant, as the format wants it.
std::string tf_record(std::string_view data);

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
