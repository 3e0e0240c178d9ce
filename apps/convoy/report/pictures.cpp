#include "apps/convoy/report/pictures.h"

#include <algorithm>
#include <cmath>

namespace convoy {
namespace {

constexpr std::int64_t kMostFilters = 64;
constexpr int kMostPixels = 224;  // of a side: twice what a page shows, for fine screens

/// [C, H, W] as [H, W, C], of the first `channels`.
template <typename ValueAt>
Picture8 interleaved(int channels, int height, int width, ValueAt value_at) {
  Picture8 picture{width, height, channels, {}};
  for (int pixel = 0; pixel < height * width; ++pixel) {
    for (int c = 0; c < channels; ++c) {
      picture.values.push_back(value_at(static_cast<std::size_t>(c * height * width + pixel)));
    }
  }
  return picture;
}

/// The mean of the values in a part of one channel.
std::uint8_t mean_of(const Picture8& picture, int channel, int top, int bottom, int left, int right) {
  std::int64_t sum = 0;
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) {
      sum += picture.values[static_cast<std::size_t>((y * picture.width + x) * picture.channels + channel)];
    }
  }
  const std::int64_t count = std::int64_t{bottom - top} * (right - left);
  return static_cast<std::uint8_t>((sum + count / 2) / count);
}

}  // namespace

Picture8 shrunk(const Picture8& picture, int most) {
  const int factor = (std::max(picture.width, picture.height) + most - 1) / most;
  if (factor <= 1) return picture;
  const auto parts = [&](int side) { return (side + factor - 1) / factor; };
  Picture8 small{parts(picture.width), parts(picture.height), picture.channels, {}};
  for (int y = 0; y < picture.height; y += factor) {
    for (int x = 0; x < picture.width; x += factor) {
      for (int c = 0; c < picture.channels; ++c) {
        small.values.push_back(mean_of(picture, c, y, std::min(y + factor, picture.height), x,
                                       std::min(x + factor, picture.width)));
      }
    }
  }
  return small;
}

Picture8 pixels_of(const Dataset& dataset, std::size_t sample) {
  const auto begin = sample * static_cast<std::size_t>(dataset.image.count());
  return shrunk(interleaved(dataset.image[0] == 3 ? 3 : 1, static_cast<int>(dataset.image[1]),
                            static_cast<int>(dataset.image[2]),
                            [&](std::size_t i) { return dataset.pixels[begin + i]; }),
                kMostPixels);
}

std::vector<Picture8> first_filters(const StateDict& state) {
  const auto first = std::ranges::find_if(state, [](const auto& entry) {
    const Shape& shape = entry.second.shape;
    return shape.rank() == 4 && shape[2] * shape[3] > 1;
  });
  if (first == state.end()) return {};
  const HostTensor& weight = first->second;
  double largest = 1e-30;  // of weights that are all 0 too
  for (const double value : weight.values) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  const auto filter_size = static_cast<std::size_t>(weight.shape[1] * weight.shape[2] * weight.shape[3]);
  std::vector<Picture8> filters;
  for (std::int64_t o = 0; o < std::min(weight.shape[0], kMostFilters); ++o) {
    filters.push_back(shrunk(interleaved(weight.shape[1] == 3 ? 3 : 1, static_cast<int>(weight.shape[2]),
                                         static_cast<int>(weight.shape[3]),
                                         [&](std::size_t i) {
                                           const double part =
                                               weight.values[static_cast<std::size_t>(o) * filter_size + i] /
                                               largest;
                                           return static_cast<std::uint8_t>(
                                               std::isfinite(part) ? std::lround(128.0 + 127.0 * part) : 0);
                                         }),
                             kMostPixels));
  }
  return filters;
}

Picture8 confusion_pixels(const Classification& result) {
  const auto classes = static_cast<int>(result.classes());
  Picture8 picture{classes, classes, 1, {}};
  for (std::size_t truth = 0; truth < result.classes(); ++truth) {
    const auto all = static_cast<double>(std::max<std::int64_t>(result.samples_of(truth), 1));
    for (std::size_t c = 0; c < result.classes(); ++c) {
      // The root makes what is rare visible.
      const double part = std::sqrt(static_cast<double>(result.count(truth, c)) / all);
      picture.values.push_back(static_cast<std::uint8_t>(std::lround(255.0 * part)));
    }
  }
  return picture;
}

}  // namespace convoy
