/// @file
/// Labelled images in host memory, as bytes. Every data set is loaded into this form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/shape.h"

namespace convoy {

/// How a byte becomes the model's input: (byte / 255 - mean) / std, per channel. The default is the same as
/// torchvision's ToTensor.
struct Normalization {
  std::vector<float> mean = {0.0f};  ///< one value for all channels, or one for each; of byte / 255
  std::vector<float> std = {1.0f};   ///< likewise, each above 0
};

/// Images of one shape with their labels.
struct Dataset {
  std::string name;                  ///< "MNIST train", for messages
  Shape image;                       ///< [C, H, W]
  std::int64_t classes = 0;          ///< at most as many as the model has
  std::vector<std::uint8_t> pixels;  ///< [count, C, H, W], row-major
  std::vector<std::uint8_t> labels;  ///< [count], each below `classes`
  Normalization normalization;       ///< applied on the device, whenever a batch is made

  /// The number of images.
  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

/// The first `limit` samples, or all if there are fewer; 0 means no limit. Throws UsageError for less than 0.
Dataset take(Dataset dataset, std::int64_t limit);

/// The training and the test half of one data set.
struct DatasetPair {
  Dataset train;  ///< for Trainer::fit
  Dataset test;   ///< held back for Trainer::evaluate
};

}  // namespace convoy
