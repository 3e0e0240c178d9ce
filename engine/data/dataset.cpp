#include "convoy/dataset.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <span>

#include "convoy/error.h"

namespace convoy {

Dataset take(Dataset dataset, std::int64_t limit) {
  if (limit < 0) throw UsageError(fmt::format("{}: cannot take {} samples", dataset.name, limit));
  if (limit == 0 || limit >= dataset.count()) return dataset;
  dataset.labels.resize(static_cast<std::size_t>(limit));
  dataset.pixels.resize(static_cast<std::size_t>(limit * dataset.image.count()));
  return dataset;
}

Dataset drop(const Dataset& dataset, std::int64_t begin) {
  if (begin < 0 || begin >= dataset.count()) {
    throw UsageError(
        fmt::format("{}: {} of {} samples cannot be left out", dataset.name, begin, dataset.count()));
  }
  Dataset rest = dataset;
  rest.labels.erase(rest.labels.begin(), rest.labels.begin() + begin);
  rest.pixels.erase(rest.pixels.begin(), rest.pixels.begin() + begin * dataset.image.count());
  return rest;
}

std::uint32_t checksum(const Dataset& dataset) {
  uLong crc = crc32_z(0, nullptr, 0);
  const auto add = [&](std::span<const std::byte> bytes) {
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  };
  add(std::as_bytes(dataset.image.dimensions()));
  add(std::as_bytes(std::span(dataset.normalization.mean)));
  add(std::as_bytes(std::span(dataset.normalization.std)));
  add(std::as_bytes(std::span(dataset.labels)));
  add(std::as_bytes(std::span(dataset.pixels)));
  return static_cast<std::uint32_t>(crc);
}

Dataset transpose(Dataset dataset) {
  const auto channels = static_cast<std::size_t>(dataset.image[0]);
  const auto height = static_cast<std::size_t>(dataset.image[1]);
  const auto width = static_cast<std::size_t>(dataset.image[2]);
  const std::size_t plane = height * width;
  const std::size_t planes = static_cast<std::size_t>(dataset.count()) * channels;
  std::vector<std::uint8_t> before(plane);
  for (std::size_t i = 0; i < planes; ++i) {
    std::uint8_t* const pixels = dataset.pixels.data() + i * plane;
    std::copy_n(pixels, plane, before.begin());
    for (std::size_t p = 0; p < plane; ++p) pixels[p % width * height + p / width] = before[p];
  }
  dataset.image = {dataset.image[0], dataset.image[2], dataset.image[1]};
  dataset.transposed = !dataset.transposed;
  return dataset;
}

}  // namespace convoy
