// Data for the program's tests: a small made-up set in MNIST's files, and pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace convoy::test {

/// Sizes of a made-up data set: ten classes, each a pattern under noise, that a small network learns in
/// seconds.
struct MadeUpData {
  std::uint32_t train = 500;
  std::uint32_t test = 200;
  std::uint32_t extent = 8;  // height and width
};

/// Writes the four IDX files of MNIST into the folder, which is created.
void write_idx_data(const std::filesystem::path& folder, const MadeUpData& data = {});

/// An IDX file: the header with these dimensions, then the content as it is.
void write_idx_file(const std::filesystem::path& file, const std::vector<std::uint32_t>& dimensions,
                    const std::string& content);

/// A model for 8x8 images with one convolution and one linear layer, for what need not be learnt well.
std::string tiny_model_json();

/// The folder of the real MNIST, if CONVOY_DATA names one.
std::optional<std::filesystem::path> real_mnist();

/// An 8-bit picture, [height, width, channels].
struct Pixels {
  int width = 0;
  int height = 0;
  int channels = 1;
  std::vector<std::uint8_t> values;
};

void write_png(const std::filesystem::path& file, const Pixels& pixels);

}  // namespace convoy::test
