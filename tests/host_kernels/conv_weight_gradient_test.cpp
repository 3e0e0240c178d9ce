#include "kernels/conv_weight_gradient.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

struct Convolution {
  const char* name;
  ConvShape shape;
};

/// With the size that PyTorch's formula gives dy.
ConvShape convolution(std::int64_t images, Extents in, std::int32_t in_channels, std::int32_t out_channels,
                      const ImageWindow& w) {
  const auto outputs = [](std::int32_t size, std::int32_t padding, std::int32_t dilation, std::int32_t kernel,
                          std::int32_t stride) {
    return (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  };
  return {images,
          in,
          in_channels,
          {outputs(in.height, w.padding.height, w.dilation.height, w.kernel.height, w.stride.height),
           outputs(in.width, w.padding.width, w.dilation.width, w.kernel.width, w.stride.width)},
          out_channels,
          w};
}

const ImageWindow k5x5{.kernel = {5, 5}, .padding = {2, 2}};
const ImageWindow k3x3{.kernel = {3, 3}, .padding = {1, 1}};

ConvShape first_of_the_convnet(std::int64_t images) { return convolution(images, {28, 28}, 1, 16, k5x5); }
ConvShape second_of_the_convnet(std::int64_t images) { return convolution(images, {14, 14}, 16, 32, k5x5); }

/// Each tile with and without packs, with full and cut edges, in one slice and in several.
std::vector<Convolution> convolutions() {
  return {
      {"one pixel", convolution(1, {1, 1}, 1, 1, {})},
      {"first of the ConvNet", first_of_the_convnet(3)},
      {"second of the ConvNet", second_of_the_convnet(7)},
      {"small with packs, cut", convolution(2, {9, 7}, 4, 12, k3x3)},
      {"first of a ResNet", convolution(2, {16, 16}, 3, 64, k3x3)},
      {"tall with packs", convolution(2, {10, 9}, 4, 60, {.kernel = {2, 4}, .stride = {1, 2}})},
      {"large", convolution(3, {6, 6}, 64, 68, k3x3)},
      {"17 to 33 channels", convolution(2, {7, 6}, 17, 33, k3x3)},
      {"1x1 with stride", convolution(3, {7, 8}, 3, 17, {.stride = {2, 3}})},
      {"1x1 with packs", convolution(5, {7, 8}, 32, 16, {})},
      {"kernel as large as the input", convolution(3, {4, 6}, 3, 5, {.kernel = {4, 6}})},
      {"non-square", convolution(2, {9, 7}, 3, 4, {.kernel = {3, 5}, .stride = {2, 1}, .padding = {1, 2}})},
      {"stride that leaves rows unread", convolution(1, {8, 8}, 2, 3, {.kernel = {2, 2}, .stride = {3, 3}})},
      {"dilation", convolution(2, {11, 10}, 3, 2, {.kernel = {3, 2}, .dilation = {2, 3}})},
      {"windows of padding only", convolution(1, {3, 3}, 1, 2, {.kernel = {2, 2}, .padding = {2, 2}})},
      {"padding far beyond the kernel's reach",
       convolution(2, {4, 5}, 8, 4,
                   {.kernel = {3, 2}, .stride = {2, 1}, .padding = {9, 5}, .dilation = {2, 1}})},
      {"one row of pixels", convolution(1, {1, 300}, 2, 3, {.kernel = {1, 3}, .padding = {0, 1}})},
      {"more rows than a tile", convolution(1, {5, 5}, 5, 150, {.kernel = {2, 2}})},
  };
}

/// x and dy, and the exact gradient with the sum of its terms' magnitudes.
struct Problem {
  ConvShape shape;
  std::vector<float> x, dy;
  std::vector<double> gradient, magnitude;

  Problem(const ConvShape& s, bool integers) : shape(s) {
    x = values(s.images * s.in.count() * s.in_channels, integers, 1);
    dy = values(s.pixels() * s.out_channels, integers, 2);
    gradient.resize(static_cast<std::size_t>(s.weights()));
    magnitude.resize(gradient.size());
    for (std::int64_t k = 0; k < s.out_channels; ++k) {
      for (std::int64_t column = 0; column < s.columns(); ++column) add(k, column);
    }
  }

 private:
  static std::vector<float> values(std::int64_t count, bool integers, std::uint32_t stream) {
    auto drawn = uniform(count, integers ? -3 : -1, integers ? 4 : 1, stream);
    if (integers) {
      for (float& value : drawn) value = std::floor(value);
    }
    return drawn;
  }

  void add(std::int64_t k, std::int64_t column) {
    const ConvShape& s = shape;
    const ImageWindow& w = s.window;
    const std::int64_t c = column % s.in_channels, tap = column / s.in_channels;
    const std::int64_t down = tap / w.kernel.width * w.dilation.height - w.padding.height;
    const std::int64_t across = tap % w.kernel.width * w.dilation.width - w.padding.width;
    const auto at = static_cast<std::size_t>(k * s.columns() + column);
    for (std::int64_t n = 0; n < s.images; ++n) {
      for (std::int64_t oh = 0; oh < s.out.height; ++oh) {
        const std::int64_t h = oh * w.stride.height + down;
        if (h < 0 || h >= s.in.height) continue;
        for (std::int64_t ow = 0; ow < s.out.width; ++ow) {
          const std::int64_t v = ow * w.stride.width + across;
          if (v < 0 || v >= s.in.width) continue;
          const std::int64_t pixel = (n * s.out.height + oh) * s.out.width + ow;
          const std::int64_t from = ((n * s.in.height + h) * s.in.width + v) * s.in_channels + c;
          const double term = static_cast<double>(dy[static_cast<std::size_t>(pixel * s.out_channels + k)]) *
                              x[static_cast<std::size_t>(from)];
          gradient[at] += term;
          magnitude[at] += std::abs(term);
        }
      }
    }
  }
};

constexpr float kGuard = -12345.0f;
constexpr std::size_t kGuardFloats = 64;  // in front and behind; 256 bytes keep the alignment

/// `count` floats between guards.
class Guarded {
 public:
  explicit Guarded(std::size_t count) : all_(count + 2 * kGuardFloats, kGuard) {
    std::fill(all_.begin() + kGuardFloats, all_.end() - kGuardFloats, NAN);
  }
  float* data() { return all_.data() + kGuardFloats; }
  std::vector<float> values() const { return {all_.begin() + kGuardFloats, all_.end() - kGuardFloats}; }
  bool intact() const {
    const auto guard = [](float value) { return value == kGuard; };
    return std::all_of(all_.begin(), all_.begin() + kGuardFloats, guard) &&
           std::all_of(all_.end() - kGuardFloats, all_.end(), guard);
  }

 private:
  std::vector<float> all_;
};

std::vector<float> run(const Problem& p, const ConvWeightTiling& tiling) {
  Guarded dweight(p.gradient.size());
  Guarded workspace(conv_weight_workspace_bytes(p.shape, tiling) / sizeof(float));
  conv_weight_gradient(
      p.shape, tiling,
      {.x = p.x.data(), .dy = p.dy.data(), .dweight = dweight.data(), .workspace = workspace.data()},
      nullptr);
  EXPECT_TRUE(dweight.intact());
  EXPECT_TRUE(workspace.intact());
  return dweight.values();
}

// Sums of at most 2352 products of at most 9 are exact in fp32, in whatever order.
TEST(ConvWeightGradient, IntegersAreExact) {
  for (const Convolution& c : convolutions()) {
    SCOPED_TRACE(c.name);
    ASSERT_TRUE(conv_weight_fits(c.shape));
    const Problem problem(c.shape, /*integers=*/true);
    const auto gradient = in_every_order([&] { return run(problem, tile_conv_weight(c.shape)); });
    ASSERT_EQ(gradient.size(), problem.gradient.size());
    for (std::size_t i = 0; i < gradient.size(); ++i) ASSERT_EQ(gradient[i], problem.gradient[i]) << i;
  }
}

std::vector<__nv_bfloat16> to_bfloat16(const std::vector<float>& values) {
  std::vector<__nv_bfloat16> rounded;
  for (const float value : values) rounded.push_back(__float2bfloat16_rn(value));
  return rounded;
}

// Small integers are bf16 numbers, their products and sums are fp32's, and the result is rounded once.
TEST(ConvWeightGradient, InBfloat16OnlyTheResultIsRounded) {
  for (const Convolution& c : convolutions()) {
    SCOPED_TRACE(c.name);
    const Problem problem(c.shape, /*integers=*/true);
    const ConvWeightTiling tiling = tile_conv_weight(c.shape);
    const auto x = to_bfloat16(problem.x), dy = to_bfloat16(problem.dy);
    std::vector<__nv_bfloat16> dweight(problem.gradient.size() + 1, __float2bfloat16_rn(kGuard));
    Guarded workspace(conv_weight_workspace_bytes(c.shape, tiling) / sizeof(float));
    conv_weight_gradient(c.shape, tiling,
                         {.x = x.data(),
                          .dy = dy.data(),
                          .dweight = dweight.data(),
                          .dtype = DType::bfloat16,
                          .workspace = workspace.data()},
                         nullptr);
    EXPECT_TRUE(workspace.intact());
    EXPECT_EQ(__bfloat162float(dweight.back()), __bfloat162float(__float2bfloat16_rn(kGuard)));
    for (std::size_t i = 0; i < problem.gradient.size(); ++i) {
      const auto rounded = __float2bfloat16_rn(static_cast<float>(problem.gradient[i]));
      ASSERT_EQ(__bfloat162float(dweight[i]), __bfloat162float(rounded)) << i;
    }
  }
}

TEST(ConvWeightGradient, RealsAreWithinTheirRoundings) {
  for (const Convolution& c : convolutions()) {
    SCOPED_TRACE(c.name);
    const Problem problem(c.shape, /*integers=*/false);
    const ConvWeightTiling tiling = tile_conv_weight(c.shape);
    const auto gradient = run(problem, tiling);
    EXPECT_EQ(run(problem, tiling), gradient) << "a rerun";
    // A product is rounded once, and takes part in as many additions as its slice has pixels for its team, in
    // 3 of the teams' tree, and in one a slice: each rounds by half an epsilon of at most `magnitude`.
    const double additions = static_cast<double>(tiling.slice_pixels + 3 + tiling.slices);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      ASSERT_NEAR(gradient[i], problem.gradient[i], kEpsilon / 2 * (1 + additions) * problem.magnitude[i])
          << i;
    }
  }
}

// The shapes above choose most of these by themselves; here each tile computes the same shape, whether it
// suits it or not.
TEST(ConvWeightGradient, EveryTileAndSliceComputesTheSame) {
  const Problem problem(convolution(3, {6, 7}, 8, 20, k3x3), /*integers=*/true);
  const ConvShape& s = problem.shape;
  for (const ConvWeightTileKind kind : {ConvWeightTileKind::small, ConvWeightTileKind::tall,
                                        ConvWeightTileKind::wide, ConvWeightTileKind::large}) {
    for (const bool packs : {true, false}) {
      if (!packs && kind > ConvWeightTileKind::tall) continue;
      for (const std::int64_t stages : {1, 2, 1000}) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(kind) << " " << packs << " " << stages);
        const ConvWeightTile tile = tile_of(kind);
        ConvWeightTiling t{.kind = kind,
                           .packs = packs,
                           .row_tiles = (s.out_channels + tile.rows - 1) / tile.rows,
                           .column_tiles = (s.columns() + tile.columns - 1) / tile.columns,
                           .slice_pixels = stages * tile.stage};
        t.slices = static_cast<std::int32_t>((s.pixels() + t.slice_pixels - 1) / t.slice_pixels);
        const auto gradient = in_every_order([&] { return run(problem, t); });
        for (std::size_t i = 0; i < gradient.size(); ++i) ASSERT_EQ(gradient[i], problem.gradient[i]) << i;
      }
    }
  }
}

TEST(ConvWeightGradient, PassesANaNOn) {
  Problem problem(second_of_the_convnet(1), /*integers=*/true);
  problem.dy[5 * 32 + 3] = NAN;  // of channel 3
  const auto gradient = run(problem, tile_conv_weight(problem.shape));
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    // The pixel (0, 5) has x under every tap but those of the two rows above.
    if (i / 400 != 3) {
      ASSERT_EQ(gradient[i], problem.gradient[i]) << i;
    } else if (i % 400 / 80 >= 2) {
      ASSERT_TRUE(std::isnan(gradient[i])) << i;
    }
  }
}

std::string described(const ConvShape& shape) {
  const ConvWeightTiling t = tile_conv_weight(shape);
  const ConvWeightTile tile = tile_of(t.kind);
  return std::to_string(tile.rows) + "x" + std::to_string(tile.columns) + (t.packs ? " in packs, " : ", ") +
         std::to_string(t.row_tiles) + "x" + std::to_string(t.column_tiles) + " tiles, " +
         std::to_string(t.slices) + " slices of " + std::to_string(t.slice_pixels);
}

// What decides about speed and bits: it changes with a reason, and kPlanningVersion (planner.h) with it.
TEST(ConvWeightTiling, FollowsFromTheShape) {
  EXPECT_EQ(described(first_of_the_convnet(100)), "16x32, 1x1 tiles, 245 slices of 320");
  EXPECT_EQ(described(second_of_the_convnet(100)), "32x64 in packs, 1x7 tiles, 35 slices of 576");
  const auto square = [](std::int64_t images, std::int32_t size, std::int32_t in, std::int32_t out) {
    return convolution(images, {size, size}, in, out, k3x3);
  };
  EXPECT_EQ(described(square(512, 32, 3, 64)), "64x32, 1x1 tiles, 256 slices of 2048") << "first of ResNet-9";
  EXPECT_EQ(described(square(512, 8, 256, 512)), "64x128 in packs, 8x18 tiles, 7 slices of 4688");
  EXPECT_EQ(described(square(128, 2, 512, 512)), "64x128 in packs, 8x36 tiles, 1 slices of 512")
      << "last of VGG-11";
  EXPECT_EQ(described(square(128, 32, 16, 16)), "16x32 in packs, 1x5 tiles, 50 slices of 2624");
}

TEST(ConvWeightTiling, CoversEverythingOnce) {
  for (const Convolution& c : convolutions()) {
    SCOPED_TRACE(c.name);
    const ConvWeightTiling t = tile_conv_weight(c.shape);
    const ConvWeightTile tile = tile_of(t.kind);
    EXPECT_GE(t.row_tiles * tile.rows, c.shape.out_channels);
    EXPECT_LT((t.row_tiles - 1) * tile.rows, c.shape.out_channels);
    EXPECT_GE(t.column_tiles * tile.columns, c.shape.columns());
    EXPECT_LT((t.column_tiles - 1) * tile.columns, c.shape.columns());
    EXPECT_EQ(t.slice_pixels % tile.stage, 0);
    EXPECT_GE(t.slices * t.slice_pixels, c.shape.pixels());
    EXPECT_LT((t.slices - 1) * t.slice_pixels, c.shape.pixels()) << "no slice is empty";
    EXPECT_EQ(t.launches(), t.slices > 1 ? 2u : 1u);
    const ColumnTiling sum = tile_conv_weight_sum(c.shape, t);
    EXPECT_GE(std::int64_t{sum.tiles} * sum.width, c.shape.weights());
    EXPECT_EQ(kColumnThreads % sum.width, 0u);
  }
}

TEST(ConvWeightTiling, RefusesWhatItsCoordinatesDoNotReach) {
  EXPECT_TRUE(conv_weight_fits(convolution(512, {224, 224}, 3, 64, k3x3)));
  ConvShape s = first_of_the_convnet(100);
  s.images = 1 << 21;  // times 784 pixels
  EXPECT_FALSE(conv_weight_fits(s));
  s = first_of_the_convnet(1);
  s.window.padding = {(1 << 28) + 1, 0};
  EXPECT_FALSE(conv_weight_fits(s));
  s = first_of_the_convnet(1);
  s.window.dilation = {1, 1 << 28};
  EXPECT_FALSE(conv_weight_fits(s));
  s = convolution(1, {1, 1}, 1 << 15, 1 << 15, {});
  EXPECT_FALSE(conv_weight_fits(s));
}

}  // namespace
}  // namespace convoy::kernels
