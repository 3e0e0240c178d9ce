#include "tests/cli/test_data.h"

#include <gtest/gtest.h>
#include <stb_image_write.h>

#include <cstdlib>

#include "engine/core/philox.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

constexpr std::uint32_t kClasses = 10;

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

/// Images and labels of one half; `stream` sets the halves' noise apart.
void write_half(const std::filesystem::path& folder, const std::string& prefix, std::uint32_t count,
                std::uint32_t extent, std::uint32_t stream) {
  PhiloxSequence noise({.seed = 5, .stream = stream});
  std::string images, labels;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t label = i % kClasses;
    PhiloxSequence pattern({.seed = 6, .stream = label});
    for (std::uint32_t p = 0; p < extent * extent; ++p) {
      const std::uint32_t value = (pattern.next() % 2 == 0 ? 0 : 160) + noise.below(96);
      images.push_back(static_cast<char>(value));
    }
    labels.push_back(static_cast<char>(label));
  }
  write_idx_file(folder / (prefix + "-images-idx3-ubyte"), {count, extent, extent}, images);
  write_idx_file(folder / (prefix + "-labels-idx1-ubyte"), {count}, labels);
}

}  // namespace

void write_idx_file(const std::filesystem::path& file, const std::vector<std::uint32_t>& dimensions,
                    const std::string& content) {
  std::string header = big_endian(0x0800u + static_cast<std::uint32_t>(dimensions.size()));
  for (const std::uint32_t dimension : dimensions) header += big_endian(dimension);
  write_file(file, header + content);
}

void write_idx_data(const std::filesystem::path& folder, const MadeUpData& data) {
  std::filesystem::create_directories(folder);
  write_half(folder, "train", data.train, data.extent, 0);
  write_half(folder, "t10k", data.test, data.extent, 1);
}

std::string tiny_model_json() {
  return R"({"name": "tiny", "input": [1, 8, 8], "layers": [
    {"name": "conv", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "padding": 1},
    {"name": "relu", "type": "ReLU"},
    {"name": "flatten", "type": "Flatten"},
    {"name": "fc", "type": "Linear", "in_features": 256, "out_features": 10}]})";
}

std::optional<std::filesystem::path> real_mnist() {
  const char* folder = std::getenv("CONVOY_DATA");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  return std::filesystem::absolute(folder);
}

void write_png(const std::filesystem::path& file, const Pixels& pixels) {
  ASSERT_NE(0, stbi_write_png(file.c_str(), pixels.width, pixels.height, pixels.channels,
                              pixels.values.data(), pixels.width * pixels.channels))
      << file;
}

}  // namespace convoy::test
