#include "engine/data/npz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "convoy/error.h"
#include "engine/core/lower_case.h"
#include "engine/data/arrays.h"
#include "engine/data/class_count.h"
#include "engine/data/flat_images.h"
#include "engine/data/split.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// What the arrays are called: by Keras, by MedMNIST, and by others.
constexpr auto kTrainImages =
    std::to_array<std::string_view>({"x_train", "X_train", "train_images", "x", "X", "images"});
constexpr auto kTrainLabels = std::to_array<std::string_view>({"y_train", "train_labels", "y", "labels"});
constexpr auto kTestImages = std::to_array<std::string_view>({"x_test", "X_test", "test_images"});
constexpr auto kTestLabels = std::to_array<std::string_view>({"y_test", "test_labels"});
constexpr auto kValidationImages = std::to_array<std::string_view>({"x_val", "val_images"});

std::optional<std::string> first_of(const Arrays& arrays, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (arrays.has(std::string(name))) return std::string(name);
  }
  return std::nullopt;
}

std::string required(const Arrays& arrays, std::span<const std::string_view> names, const fs::path& data) {
  if (const auto name = first_of(arrays, names)) return *name;
  throw Error(fmt::format("{} has no array {}; save it as that", data.string(), fmt::join(names, " or ")));
}

/// Images of which the channels are the last axis, plane by plane.
std::vector<std::uint8_t> planes_of(const std::vector<std::uint8_t>& pixels, std::size_t plane,
                                    std::size_t channels) {
  if (channels == 1) return pixels;
  std::vector<std::uint8_t> result(pixels.size());
  for (std::size_t image = 0; image < pixels.size(); image += plane * channels) {
    for (std::size_t p = 0; p < plane; ++p) {
      for (std::size_t c = 0; c < channels; ++c)
        result[image + c * plane + p] = pixels[image + p * channels + c];
    }
  }
  return result;
}

bool is_channels(std::int64_t extent) { return extent == 1 || extent == 3; }

/// Sets image and pixels by an array [N, pixels], [N, H, W], [N, H, W, C] or [N, C, H, W].
void set_images(Dataset& dataset, NpyArray array, const LoadOptions& options, const InputName& input) {
  const std::vector<std::int64_t> shape = array.shape;
  const bool last = shape.size() == 4 && is_channels(shape[3]);
  if (shape.size() < 2 || shape.size() > 4 || (shape.size() == 4 && !last && !is_channels(shape[1]))) {
    input.fail(fmt::format(
        "images of shape {}: it has to be [N, H, W], or [N, H, W, C] or [N, C, H, W] with 1 or 3 channels",
        Shape(shape).str()));
  }
  if (shape.size() == 2) {
    dataset.image = shape_of_row(shape[1], options, input);
  } else if (shape.size() == 3) {
    dataset.image = {1, shape[1], shape[2]};
  } else {
    dataset.image = last ? Shape({shape[3], shape[1], shape[2]}) : Shape({shape[1], shape[2], shape[3]});
  }
  const auto or_own = [&](std::int64_t extent, std::size_t axis) {
    return extent > 0 ? extent : dataset.image[axis];
  };
  const Shape wanted = {or_own(options.channels, 0), or_own(options.height, 1), or_own(options.width, 2)};
  if (dataset.image != wanted) {
    input.fail(fmt::format("images {}, where {} are wanted; arrays are not scaled", dataset.image.str(),
                           wanted.str()));
  }
  dataset.pixels = pixels_of(std::move(array.elements), array.type, input);
  if (last) {
    dataset.pixels = planes_of(dataset.pixels, static_cast<std::size_t>(shape[1] * shape[2]),
                               static_cast<std::size_t>(shape[3]));
  }
}

struct HalfNames {
  std::string images;
  std::string labels;
};

Dataset read_half(const Arrays& arrays, const HalfNames& names, const LoadOptions& options) {
  const NpyArray labels = arrays.read(names.labels);
  const bool column = labels.shape.size() == 1 || (labels.shape.size() == 2 && labels.shape[1] == 1);
  if (!column) {
    InputName{arrays.where(names.labels)}.fail(
        fmt::format("labels of shape {}: it has to be [N], the number of each image's class (of one-hot "
                    "labels, argmax)",
                    Shape(labels.shape).str()));
  }
  Dataset dataset;
  dataset.name = names.images;
  constexpr std::int64_t kMostClasses = 256;
  dataset.labels =
      labels_of(labels.elements, labels.type, 1, {0, kMostClasses}, {arrays.where(names.labels)});
  NpyArray images = arrays.read(names.images);
  if (images.shape.empty() || images.shape[0] != labels.shape[0]) {
    InputName{arrays.where(names.images)}.fail(fmt::format("shape {}, but {} has {} labels",
                                                           Shape(images.shape).str(),
                                                           arrays.where(names.labels), labels.shape[0]));
  }
  set_images(dataset, std::move(images), options, {arrays.where(names.images)});
  return dataset;
}

bool is_npz(const fs::path& file) { return lower_case(file.extension().string()) == ".npz"; }

/// The only .npz file in a folder; the folder itself if it has the arrays as files.
fs::path source_in(const fs::path& data) {
  std::error_code code;
  if (!fs::is_directory(data, code)) return data;
  if (first_of(*open_arrays(data), kTrainImages)) return data;
  std::vector<fs::path> archives;
  for (fs::directory_iterator at(data, code); !code && at != fs::directory_iterator(); at.increment(code)) {
    if (is_npz(at->path())) archives.push_back(at->path());
  }
  if (archives.empty()) return {};
  if (archives.size() == 1) return archives[0];
  std::ranges::sort(archives);
  throw Error(fmt::format("{} and {} are both there; name one file with --data", archives[0].string(),
                          archives[1].string()));
}

}  // namespace

bool is_npz_data(const fs::path& data) {
  std::error_code code;
  if (!fs::is_directory(data, code)) return fs::exists(data, code) && is_npz(data);
  try {
    return !source_in(data).empty();
  } catch (const Error&) {
    return true;  // several, which is told when they are read
  }
}

DatasetPair read_npz_set(const fs::path& data, const LoadOptions& options) {
  const fs::path source = source_in(data);
  if (source.empty()) throw Error(fmt::format("{} holds no .npz file", data.string()));
  const auto arrays = open_arrays(source);
  const HalfNames train{required(*arrays, kTrainImages, source), required(*arrays, kTrainLabels, source)};
  const auto test_images = first_of(*arrays, kTestImages);
  require_split(source, test_images.has_value(), options);
  if (const auto left_out = first_of(*arrays, kValidationImages); left_out && options.say) {
    options.say(fmt::format("{} is left out", arrays->where(*left_out)));
  }
  Dataset whole = read_half(*arrays, train, options);
  if (!test_images) {
    count_classes(std::array{LabelledPart{&whole, arrays->where(train.labels)}}, options.say);
    return split_as_asked(whole, options);
  }
  const HalfNames test{*test_images, required(*arrays, kTestLabels, source)};
  DatasetPair pair{std::move(whole), read_half(*arrays, test, options)};
  count_classes(std::array{LabelledPart{&pair.train, arrays->where(train.labels)},
                           LabelledPart{&pair.test, arrays->where(test.labels)}},
                options.say);
  return pair;
}

}  // namespace convoy
