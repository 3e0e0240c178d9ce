#include "engine/backend/cpu/channel_rows.h"

#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {

std::optional<ChannelRows> ChannelRows::of(const Shape& shape, const Layout& layout) {
  if (shape.rank() != 4) return std::nullopt;
  for (const std::int64_t lanes : {1, 8, 16}) {
    const ChannelRows rows = ChannelRows{.lanes = lanes, .type = type_of(layout)}.for_shape(shape);
    if (layout == rows.layout()) return rows;
  }
  if (shape[1] % kRow != 0) return std::nullopt;
  const ChannelRows last =
      ChannelRows{.lanes = kRow, .channels_last = true, .type = type_of(layout)}.for_shape(shape);
  return layout == last.layout() ? std::optional(last) : std::nullopt;
}

ChannelRows ChannelRows::of(const CpuTensor& x) {
  const auto rows = of(x.shape(), x.layout());
  return rows ? *rows : ChannelRows{.type = type_of(x.layout())}.for_shape(x.shape());
}

Layout ChannelRows::layout() const {
  using Tag = dnnl::memory::format_tag;
  const Tag blocked = lanes == 16 ? Tag::nChw16c : lanes == 8 ? Tag::nChw8c : Tag::nchw;
  return {dims_of(shape), type, channels_last ? Tag::nhwc : blocked};
}

ChannelRows ChannelRows::for_shape(const Shape& other) const {
  ChannelRows rows = *this;
  rows.shape = other;
  rows.images = other[0];
  rows.channels = other[1];
  rows.blocks = (other[1] + lanes - 1) / lanes;
  rows.plane_size = other[2] * other[3] * lanes;
  return rows;
}

ChannelRows ChannelRows::as_floats() const {
  ChannelRows rows = *this;
  rows.type = DataType::f32;
  return rows;
}

Row ChannelRows::spread(const std::vector<float>& per_channel, std::int64_t block) const {
  Row row{};
  for (std::int64_t i = 0; i < kRow; ++i) {
    // A division for each of them would take longer than a small plane.
    const std::int64_t lane = i & (lanes - 1);
    row[static_cast<std::size_t>(i)] = per_channel[static_cast<std::size_t>(block * lanes + lane)];
  }
  return row;
}

ChannelSums::ChannelSums(const ChannelRows& rows)
    : rows_(rows),
      partials_(static_cast<std::size_t>(rows.planes() * rows.lanes * 2)),
      first_(static_cast<std::size_t>(rows.padded_channels())),
      second_(first_.size()) {}

void ChannelSums::keep(std::int64_t plane, const DoubleRow& first, const DoubleRow& second) {
  double* partial = partials_.data() + plane * rows_.lanes * 2;
  for (std::int64_t lane = 0; lane < rows_.lanes; ++lane) {
    double a = 0.0;
    double b = 0.0;
    for (auto i = static_cast<std::size_t>(lane); i < kRow; i += static_cast<std::size_t>(rows_.lanes)) {
      a += first[i];
      b += second[i];
    }
    partial[2 * lane] = a;
    partial[2 * lane + 1] = b;
  }
}

void ChannelSums::reduce() {
#pragma omp parallel for schedule(static) if (rows_.planes() * rows_.lanes > kParallelFrom)
  for (std::int64_t channel = 0; channel < rows_.padded_channels(); ++channel) {
    double a = 0.0;
    double b = 0.0;
    for (std::int64_t image = 0; image < rows_.images; ++image) {
      const std::int64_t plane = image * rows_.blocks + channel / rows_.lanes;
      const double* partial = partials_.data() + (plane * rows_.lanes + channel % rows_.lanes) * 2;
      a += partial[0];
      b += partial[1];
    }
    first_[static_cast<std::size_t>(channel)] = a;
    second_[static_cast<std::size_t>(channel)] = b;
  }
}

}  // namespace convoy::cpu
