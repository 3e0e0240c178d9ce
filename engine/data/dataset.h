// Labelled images in host memory, as bytes: what every data set becomes before a backend sees it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/shape.h"

namespace convoy {

/// How a byte becomes an activation: (byte / 255 - mean) / std, per channel. The default is what
/// torchvision's ToTensor does.
struct Normalization {
  std::vector<float> mean = {0.0f};  // one for all channels, or one for each
  std::vector<float> std = {1.0f};
};

struct Dataset {
  std::string name;  // "MNIST train", for messages
  Shape image;       // [C, H, W]
  std::int64_t classes = 0;
  std::vector<std::uint8_t> pixels;  // [count, C, H, W], row-major
  std::vector<std::uint8_t> labels;  // [count], each below `classes`
  Normalization normalization;

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

/// The first `limit` samples (all of them if there are fewer); 0 means no limit.
Dataset take(Dataset dataset, std::int64_t limit);

/// Training and test halves of one data set.
struct DatasetPair {
  Dataset train;
  Dataset test;
};

}  // namespace convoy
