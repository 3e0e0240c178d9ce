#include "engine/backend/cpu/weight_gradient_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/weight_gradient_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Eight channels of the output at once, of two such groups, times as many taps side by side as have their
// sums in ten registers: enough to keep two units busy that take four or five cycles for an operation, and
// with the operands they fit in the 16 registers of AVX2.
constexpr std::int64_t kGroup = 8;
constexpr std::int64_t kTaps = 5;

// Pixels that are summed in floats, whole rows but at least one; then the sums go on in double.
constexpr std::int64_t kPixels = 256;

/// Where a few taps side by side begin, and the groups of channels of dy that they meet.
struct Taps {
  const float* x;
  const float* dy[2];
  double* sums[2];
};

template <class D>
HWY_INLINE void fold(D d, hn::Vec<D> sum, double* into) {
  float terms[kGroup];
  hn::StoreU(sum, d, terms);
  for (std::size_t j = 0; j < hn::Lanes(d); ++j) into[j] += terms[j];
}

/// Of the output's rows from `row` to `end`.
template <std::int64_t kCount, std::int64_t kGroups, class D>
HWY_INLINE void add_rows(D d, const ImageGradient& p, const Taps& taps, std::int64_t row, std::int64_t end) {
  hn::Vec<D> sums[kGroups][kCount];
  for (auto& group : sums) {
    for (auto& sum : group) sum = hn::Zero(d);
  }
  for (std::int64_t i = row; i < end; ++i) {
    const float* x = taps.x + i * p.stride[0] * p.width;
    const std::int64_t begin = i * p.output_width * p.lanes;
    for (std::int64_t at = begin; at < begin + p.output_width * p.lanes; at += p.lanes, x += p.stride[1]) {
      hn::Vec<D> dy[kGroups];
      for (std::int64_t g = 0; g < kGroups; ++g) dy[g] = hn::LoadU(d, taps.dy[g] + at);
      for (std::int64_t t = 0; t < kCount; ++t) {
        const auto met = hn::Set(d, x[t * p.dilation[1]]);
        for (std::int64_t g = 0; g < kGroups; ++g) sums[g][t] = hn::MulAdd(dy[g], met, sums[g][t]);
      }
    }
  }
  for (std::int64_t g = 0; g < kGroups; ++g) {
    for (std::int64_t t = 0; t < kCount; ++t) fold(d, sums[g][t], taps.sums[g] + t * kGroup);
  }
}

template <std::int64_t kCount, std::int64_t kGroups, class D>
HWY_INLINE void add_taps(D d, const ImageGradient& p, const Taps& taps) {
  const std::int64_t rows = std::max<std::int64_t>(kPixels / p.output_width, 1);
  for (std::int64_t row = 0; row < p.output_height; row += rows) {
    add_rows<kCount, kGroups>(d, p, taps, row, std::min(row + rows, p.output_height));
  }
}

/// `count` taps, at most kTaps, in vectors that a group may take several of.
template <std::int64_t kGroups>
HWY_INLINE void add_some_taps(std::int64_t count, const ImageGradient& p, const Taps& taps) {
  const hn::CappedTag<float, kGroup> d;
  for (std::int64_t lane = 0; lane < kGroup; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
    Taps part = taps;
    for (std::int64_t g = 0; g < kGroups; ++g) {
      part.dy[g] += lane;
      part.sums[g] += lane;
    }
    switch (count) {
      case 1:
        add_taps<1, kGroups>(d, p, part);
        break;
      case 2:
        add_taps<2, kGroups>(d, p, part);
        break;
      case 3:
        add_taps<3, kGroups>(d, p, part);
        break;
      case 4:
        add_taps<4, kGroups>(d, p, part);
        break;
      default:
        add_taps<kTaps, kGroups>(d, p, part);
    }
  }
}

void add_weight_gradients(const ImageGradient& p) {
  const std::int64_t groups = p.blocks * p.lanes / kGroup;
  const std::int64_t kernel = p.channels * p.kernel_height * p.kernel_width;
  const auto dy_of = [&](std::int64_t group) {
    const std::int64_t lane = group * kGroup;
    return p.dy + lane / p.lanes * p.lanes * p.output_height * p.output_width + lane % p.lanes;
  };
  for (std::int64_t group = 0; group < groups; group += 2) {
    const bool both = group + 1 < groups;
    for (std::int64_t row = 0; row < p.channels * p.kernel_height; ++row) {  // of the kernel
      const std::int64_t c = row / p.kernel_height, i = row % p.kernel_height;
      for (std::int64_t j = 0; j < p.kernel_width; j += kTaps) {
        double* const sums = p.sums + (group * kernel + row * p.kernel_width + j) * kGroup;
        const Taps taps{.x = p.x + (c * p.height + i * p.dilation[0]) * p.width + j * p.dilation[1],
                        .dy = {dy_of(group), both ? dy_of(group + 1) : nullptr},
                        .sums = {sums, sums + kernel * kGroup}};
        const std::int64_t count = std::min(kTaps, p.kernel_width - j);
        both ? add_some_taps<2>(count, p, taps) : add_some_taps<1>(count, p, taps);
      }
    }
  }
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(add_weight_gradients);

void add_weight_gradients(const ImageGradient& image) { HWY_DYNAMIC_DISPATCH(add_weight_gradients)(image); }

}  // namespace convoy::cpu
#endif
