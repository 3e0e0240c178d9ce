// The loop for weight gradients of few input channels on every one of Highway's targets that the processor
// has, against sums in double.
#include <gtest/gtest.h>
#include <hwy/tests/hwy_gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/backend/cpu/weight_gradient_loops.h"
#include "engine/core/philox.h"

namespace convoy::cpu {
namespace {

class CpuWeightGradientLoops : public hwy::TestWithParamTarget {};
HWY_TARGET_INSTANTIATE_TEST_SUITE_P(CpuWeightGradientLoops);

struct Case {
  std::int64_t channels, blocks, lanes, output_height, output_width, kernel_height, kernel_width;
  std::int64_t stride[2], dilation[2];
};

// Kernels of fewer taps in a row than the loop takes at once, as many, more, and several times as many with a
// rest; groups of channels in pairs and single; strides and dilations.
constexpr Case kCases[] = {{1, 4, 8, 6, 5, 5, 5, {1, 1}, {1, 1}},   {1, 1, 8, 1, 1, 1, 1, {1, 1}, {1, 1}},
                           {3, 3, 8, 4, 7, 3, 3, {2, 1}, {1, 1}},   {2, 1, 16, 5, 3, 2, 7, {1, 2}, {2, 3}},
                           {4, 2, 16, 3, 4, 1, 12, {1, 1}, {1, 1}}, {1, 2, 8, 9, 9, 4, 4, {3, 3}, {1, 2}},
                           {1, 1, 8, 70, 60, 3, 3, {1, 1}, {1, 1}}, {1, 1, 8, 3, 700, 1, 2, {1, 1}, {1, 1}}};

TEST_P(CpuWeightGradientLoops, SumsTheProductsOfEachTap) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.channels << " channels, kernel " << c.kernel_height << "x"
                                    << c.kernel_width << ", " << c.blocks << " blocks of " << c.lanes);
    const std::int64_t height =
        (c.output_height - 1) * c.stride[0] + (c.kernel_height - 1) * c.dilation[0] + 1;
    const std::int64_t width = (c.output_width - 1) * c.stride[1] + (c.kernel_width - 1) * c.dilation[1] + 1;
    const std::int64_t pixels = c.output_height * c.output_width, outputs = c.blocks * c.lanes;
    const std::int64_t kernel = c.channels * c.kernel_height * c.kernel_width;
    PhiloxSequence random({13, 0});
    std::vector<float> x, dy;
    for (std::int64_t i = 0; i < c.channels * height * width; ++i)
      x.push_back(static_cast<float>(random.uniform(-1.0, 1.0)));
    for (std::int64_t i = 0; i < pixels * outputs; ++i)
      dy.push_back(static_cast<float>(random.uniform(-1.0, 1.0)));
    std::vector<double> sums(static_cast<std::size_t>(outputs * kernel), 0.5);  // what is there stays
    add_weight_gradients({.x = x.data(),
                          .dy = dy.data(),
                          .sums = sums.data(),
                          .channels = c.channels,
                          .height = height,
                          .width = width,
                          .blocks = c.blocks,
                          .lanes = c.lanes,
                          .output_height = c.output_height,
                          .output_width = c.output_width,
                          .kernel_height = c.kernel_height,
                          .kernel_width = c.kernel_width,
                          .stride = {c.stride[0], c.stride[1]},
                          .dilation = {c.dilation[0], c.dilation[1]}});

    // Products of at most one, summed in floats over whole rows of 256 pixels or one: each addition rounds a
    // sum of at most as many.
    const auto terms = static_cast<double>(std::min(pixels, std::max<std::int64_t>(256, c.output_width)));
    const double tolerance = static_cast<double>(pixels) * terms * 0x1p-24;
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t k = 0; k < kernel; ++k) {
        const std::int64_t channel = k / (c.kernel_height * c.kernel_width);
        const std::int64_t tap_i = k / c.kernel_width % c.kernel_height * c.dilation[0];
        const std::int64_t tap_j = k % c.kernel_width * c.dilation[1];
        double expected = 0.5;
        for (std::int64_t p = 0; p < pixels; ++p) {
          const std::int64_t i = p / c.output_width * c.stride[0] + tap_i;
          const std::int64_t j = p % c.output_width * c.stride[1] + tap_j;
          expected +=
              double{x[static_cast<std::size_t>((channel * height + i) * width + j)]} *
              double{dy[static_cast<std::size_t>((o / c.lanes * pixels + p) * c.lanes + o % c.lanes)]};
        }
        EXPECT_NEAR(sums[static_cast<std::size_t>((o / 8 * kernel + k) * 8 + o % 8)], expected, tolerance)
            << "output " << o << ", tap " << k;
      }
    }
  }
}

}  // namespace
}  // namespace convoy::cpu
