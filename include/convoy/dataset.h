/// @file
/// Labelled images in host memory, as bytes. Every data set is loaded into this form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/preparation.h"
#include "convoy/shape.h"

namespace convoy {

/// Images of one shape with their labels.
struct Dataset {
  std::string name;                      ///< "MNIST train", for messages
  Shape image;                           ///< [C, H, W]
  std::int64_t classes = 0;              ///< at most as many as the model has
  std::vector<std::uint8_t> pixels;      ///< [count, C, H, W], row-major
  std::vector<std::uint8_t> labels;      ///< [count], each below `classes`
  Normalization normalization;           ///< applied on the device, whenever a batch is made
  bool transposed = false;               ///< rows and columns of the files' images were exchanged on loading
  bool cropped = false;                  ///< pictures were cut to the images' proportions on loading
  std::vector<std::string> class_names;  ///< one for each class; empty: they are called by their numbers

  /// The number of images.
  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

/// The first `limit` samples, or all if there are fewer; 0 means no limit. Throws UsageError for less than 0.
Dataset take(Dataset dataset, std::int64_t limit);

/// The samples behind the first `begin`. Throws UsageError unless that many, and one more, are there.
Dataset drop(const Dataset& dataset, std::int64_t begin);

/// The CRC-32 of all that a training reads of it: shape, normalisation, labels and pixels. Takes a twentieth
/// of a second for MNIST.
std::uint32_t checksum(const Dataset& dataset);

/// The data set with rows and columns of every image exchanged.
Dataset transpose(Dataset dataset);

/// How a data set was made, as far as its first 10,000 images tell. The framing is MNIST's if nearly all are
/// grey, dark at the border, and have MNIST's box and centre of mass. `name` is that of the data set.
Preparation measure_preparation(const Dataset& dataset, const std::string& name);

/// The training and the test half of one data set.
struct DatasetPair {
  Dataset train;  ///< for Trainer::fit
  Dataset test;   ///< held back for Trainer::evaluate
};

}  // namespace convoy
