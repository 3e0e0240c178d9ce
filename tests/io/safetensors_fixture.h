// Safetensors files, put together by hand.
#pragma once

#include <gmock/gmock.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "convoy/safetensors.h"
#include "tests/temporary_folder.h"

namespace convoy {

inline std::string little_endian(std::uint64_t number) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(number >> 8 * i & 0xff);
  return bytes;
}

inline std::string with_header(const std::string& header, const std::string& data) {
  return little_endian(header.size()) + header + data;
}

class Safetensors : public testing::Test {
 protected:
  SafetensorsFile loaded(std::string_view bytes) {
    write_file(file_, bytes);
    return load_safetensors(file_);
  }

  std::string error_of_bytes(std::string_view bytes) {
    write_file(file_, bytes);
    const std::string message = error_of([&] { load_safetensors(file_); });
    if (!message.empty()) {
      EXPECT_THAT(message, testing::HasSubstr("cannot load checkpoint " + file_.string() + ": "));
    }
    return message;
  }

  std::string error_of_header(const std::string& header, std::size_t data_bytes) {
    return error_of_bytes(with_header(header, std::string(data_bytes, '\0')));
  }

  SafetensorsFile round_trip(const StateDict& state, const SafetensorsMetadata& metadata = {}) {
    save_safetensors(state, file_, metadata);
    return load_safetensors(file_);
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "model.safetensors";
};

/// A tensor of two bytes.
inline std::string tensor(const std::string& name, int begin) {
  return "\"" + name + R"(":{"dtype":"F16","shape":[1],"data_offsets":[)" + std::to_string(begin) + "," +
         std::to_string(begin + 2) + "]}";
}

}  // namespace convoy
