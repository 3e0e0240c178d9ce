/// @file
/// Labelled images in host memory, as bytes. Every data set is loaded into this form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/shape.h"

namespace convoy {

/// Makes an activation of a byte: (byte / 255 - mean) / std, per channel. The default is the same as
/// torchvision's ToTensor.
struct Normalization {
  std::vector<float> mean = {0.0f};  ///< one value for all channels, or one for each
  std::vector<float> std = {1.0f};
};

struct Dataset {
  std::string name;  ///< "MNIST train", for messages
  Shape image;       ///< [C, H, W]
  std::int64_t classes = 0;
  std::vector<std::uint8_t> pixels;  ///< [count, C, H, W], row-major
  std::vector<std::uint8_t> labels;  ///< [count], each below `classes`
  Normalization normalization;

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

/// The first `limit` samples, or all if there are fewer; 0 means no limit. Throws UsageError for less than 0.
Dataset take(Dataset dataset, std::int64_t limit);

/// The training and the test half of one data set.
struct DatasetPair {
  Dataset train;
  Dataset test;
};

}  // namespace convoy
