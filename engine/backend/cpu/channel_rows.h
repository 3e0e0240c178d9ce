// Per-channel arithmetic on whatever layout a convolution left behind. Memory is [N, blocks, pixels, lanes]
// with `lanes` channels side by side: 1 in plain NCHW, 8 or 16 in oneDNN's blocked layouts. Or it is channels
// last, [N, pixels, blocks, lanes], with 16 lanes. It is walked in rows of 16 numbers, whose channels repeat
// with the lanes, so that one loop serves all of them and vectorises.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "convoy/shape.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/primitives.h"
#include "engine/backend/cpu/row.h"

namespace convoy::cpu {

class CpuTensor;

struct ChannelRows {
  Shape shape;
  std::int64_t images = 0;
  std::int64_t channels = 0;
  std::int64_t lanes = 1;
  std::int64_t blocks = 0;        // of `lanes` channels; the last may be padded with zeros
  std::int64_t plane_size = 0;    // numbers of one block of one image: pixels * lanes
  bool channels_last = false;     // a multiple of 16
  DataType type = DataType::f32;  // or bf16

  /// Nothing if the layout is not one of the above.
  static std::optional<ChannelRows> of(const Shape& shape, const Layout& layout);

  /// Of x's layout if it is one of the above, else of a plain one, into which x has to be copied.
  static ChannelRows of(const CpuTensor& x);

  Layout layout() const;

  /// The same layout for another shape, and for floats.
  ChannelRows for_shape(const Shape& other) const;
  ChannelRows as_floats() const;

  std::int64_t planes() const { return images * blocks; }
  std::int64_t padded_channels() const { return blocks * lanes; }

  /// Where a plane begins, and how far its rows and its pixels are apart.
  std::int64_t begin(std::int64_t plane) const {
    return channels_last ? plane / blocks * blocks * plane_size + plane % blocks * lanes : plane * plane_size;
  }
  std::int64_t row() const { return channels_last ? channels : kRow; }
  std::int64_t pixel() const { return channels_last ? channels : lanes; }

  /// Spreads the values of a block's channels over a row.
  Row spread(const std::vector<float>& per_channel, std::int64_t block) const;
};

/// Two sums over each channel, in double: every plane is summed on its own, and the planes in their order, so
/// that neither the number of threads nor a large batch costs a digit.
class ChannelSums {
 public:
  explicit ChannelSums(const ChannelRows& rows);

  /// Calls `add(plane, block, first, second)` for every plane, on all threads; it fills two rows of sums.
  template <typename Add>
  void run(Walk direction, Add add) {
    walk(rows_.planes(), direction, [&](std::int64_t plane) {
      DoubleRow first{};
      DoubleRow second{};
      add(plane, plane % rows_.blocks, first, second);
      keep(plane, first, second);
    });
    reduce();
  }

  double first(std::int64_t channel) const { return first_[static_cast<std::size_t>(channel)]; }
  double second(std::int64_t channel) const { return second_[static_cast<std::size_t>(channel)]; }

 private:
  void keep(std::int64_t plane, const DoubleRow& first, const DoubleRow& second);
  void reduce();

  ChannelRows rows_;
  std::vector<double> partials_;  // [planes, lanes, 2]
  std::vector<double> first_;     // [padded_channels]
  std::vector<double> second_;
};

}  // namespace convoy::cpu
