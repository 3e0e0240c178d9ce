#include "kernels/pooling.h"

#include <cmath>
#include <map>

#include "tests/host_kernels/pool_windows.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

struct Case {
  const char* name;
  std::int64_t images;
  Extents in;
  std::int32_t channels;
  ImageWindow window;

  PoolShape shape(DType dtype) const {
    const auto outputs = [](std::int32_t size, std::int32_t padding, std::int32_t kernel,
                            std::int32_t stride) { return (size + 2 * padding - kernel) / stride + 1; };
    const ImageWindow& w = window;
    return {images,
            in,
            {outputs(in.height, w.padding.height, w.kernel.height, w.stride.height),
             outputs(in.width, w.padding.width, w.kernel.width, w.stride.width)},
            channels,
            w,
            dtype};
  }
};

const Case kCases[] = {
    {"one pixel", 1, {1, 1}, 1, {}},
    {"of the ConvNet", 3, {14, 14}, 16, {.kernel = {2, 2}, .stride = {2, 2}}},
    {"a rest that no window sees", 2, {5, 7}, 8, {.kernel = {2, 2}, .stride = {2, 2}}},
    {"overlapping, padded", 2, {9, 8}, 24, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
    {"stride 1", 2, {6, 5}, 3, {.kernel = {3, 2}, .padding = {1, 1}}},
    {"gaps between windows", 2, {10, 11}, 12, {.kernel = {2, 1}, .stride = {3, 4}}},
    {"non-square", 1, {7, 13}, 5, {.kernel = {4, 5}, .stride = {1, 3}, .padding = {2, 1}}},
    {"the whole plane", 4, {8, 6}, 10, {.kernel = {8, 6}, .stride = {8, 6}}},
    {"more padding than image", 1, {1, 2}, 4, {.kernel = {6, 6}, .padding = {3, 3}}},
    {"256 taps", 1, {17, 17}, 2, {.kernel = {16, 16}}},
    {"no images", 0, {4, 4}, 4, {.kernel = {2, 2}, .stride = {2, 2}}},
};

struct Pooled {
  Elements y, dx;
  bool operator==(const Pooled&) const = default;
};

Pooled max_pool(const PoolShape& s, Elements x, Elements dy) {
  Pooled out{Elements(s.dtype, s.out_count()), Elements(s.dtype, s.in_count())};
  std::vector<std::uint8_t> index(static_cast<std::size_t>(s.out_count()));
  max_pool_forward(s, {.x = x.data(), .y = out.y.data(), .index = index.data()}, nullptr);
  max_pool_backward(s, {.dy = dy.data(), .index = index.data(), .dx = out.dx.data()}, nullptr);
  return out;
}

Pooled avg_pool(const PoolShape& s, Elements x, Elements dy, bool count_include_pad) {
  Pooled out{Elements(s.dtype, s.out_count()), Elements(s.dtype, s.in_count())};
  avg_pool_forward(s, {x.data(), out.y.data(), count_include_pad}, nullptr);
  avg_pool_backward(s, {dy.data(), out.dx.data(), count_include_pad}, nullptr);
  return out;
}

/// Integers from -`most` to `most`: with few of them there are ties, and sums of them are exact.
Elements integers(DType dtype, std::int64_t count, int most, std::uint32_t stream) {
  auto values = uniform(count, -most, most + 1, stream);
  for (float& value : values) value = std::floor(value);
  return {dtype, values};
}

void expect_max_pool(const PoolShape& s, const Elements& x, const Elements& dy) {
  const Pooled out = in_every_order([&] { return max_pool(s, x, dy); });
  std::vector<float> dx(static_cast<std::size_t>(s.in_count()));
  for_each_output(s, [&](std::size_t y, const std::vector<std::size_t>& seen) {
    std::size_t best = seen.at(0);
    for (const std::size_t i : seen) {
      if (x[i] > x[best] || std::isnan(x[i])) best = i;
    }
    if (std::isnan(x[best])) {
      ASSERT_TRUE(std::isnan(out.y[y])) << y;
    } else {
      ASSERT_EQ(out.y[y], x[best]) << y;
    }
    dx[best] += dy[y];
  });
  for (std::size_t i = 0; i < dx.size(); ++i) ASSERT_EQ(out.dx[i], rounded(s.dtype, dx[i])) << i;
}

TEST(MaxPool, TakesTheFirstMaximumAndGivesItTheGradient) {
  for (const Case& c : kCases) {
    for (const DType dtype : kDTypes) {
      SCOPED_TRACE(testing::Message() << c.name << (dtype == DType::float32 ? "" : " in bf16"));
      const PoolShape s = c.shape(dtype);
      expect_max_pool(s, integers(dtype, s.in_count(), 2, 1), integers(dtype, s.out_count(), 3, 2));
      expect_max_pool(s, Elements(dtype, uniform(s.in_count(), -9, -1, 3)),
                      integers(dtype, s.out_count(), 3, 2));
    }
  }
}

TEST(MaxPool, PassesNaNAndInfinityOn) {
  for (const Case& c : kCases) {
    for (const DType dtype : kDTypes) {
      SCOPED_TRACE(c.name);
      const PoolShape s = c.shape(dtype);
      Elements x = integers(dtype, s.in_count(), 2, 1);
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (i % 3 == 0) x.set(i, -INFINITY);
        if (i % 37 == 5) x.set(i, NAN);
      }
      expect_max_pool(s, x, integers(dtype, s.out_count(), 3, 2));
      for (std::size_t i = 0; i < x.size(); ++i) x.set(i, -INFINITY);
      expect_max_pool(s, x, integers(dtype, s.out_count(), 3, 2));
    }
  }
}

TEST(AvgPool, IsTheMeanAndSharesTheGradient) {
  for (const Case& c : kCases) {
    for (const DType dtype : kDTypes) {
      for (const bool count_include_pad : {true, false}) {
        SCOPED_TRACE(testing::Message() << c.name << " " << count_include_pad);
        const PoolShape s = c.shape(dtype);
        const Elements x(dtype, uniform(s.in_count(), -1, 1, 1));
        const Elements dy(dtype, uniform(s.out_count(), -1, 1, 2));
        const Pooled out = in_every_order([&] { return avg_pool(s, x, dy, count_include_pad); });
        const auto taps = static_cast<double>(s.window.kernel.count());
        std::vector<double> dx(static_cast<std::size_t>(s.in_count())), magnitude(dx.size());
        for_each_output(s, [&](std::size_t y, const std::vector<std::size_t>& seen) {
          const double divisor = count_include_pad ? taps : static_cast<double>(seen.size());
          double sum = 0.0, terms = 0.0;
          for (const std::size_t i : seen) {
            sum += x[i];
            terms += std::abs(x[i]);
            dx[i] += dy[y] / divisor;
            magnitude[i] += std::abs(dy[y]) / divisor;
          }
          // At most `taps` additions and a division, each rounds by half an epsilon; then the result is
          // stored.
          ASSERT_NEAR(
              out.y[y], sum / divisor,
              kEpsilon / 2 * (taps + 1) * terms / divisor + out.y.rounding() * std::abs(sum / divisor))
              << y;
        });
        for (std::size_t i = 0; i < dx.size(); ++i) {  // no more than `taps` windows see a pixel
          ASSERT_NEAR(out.dx[i], dx[i],
                      kEpsilon / 2 * (taps + 1) * magnitude[i] +
                          out.dx.rounding() * (std::abs(dx[i]) + magnitude[i] * kEpsilon * taps))
              << i;
        }
      }
    }
  }
}

// Of integers in windows of a power of two the means are exact.
TEST(AvgPool, IntegersAreExact) {
  const Case c{"", 2, {8, 12}, 8, {.kernel = {2, 4}, .stride = {1, 2}}};
  for (const DType dtype : kDTypes) {
    const PoolShape s = c.shape(dtype);
    const Elements x = integers(dtype, s.in_count(), 3, 1), dy = integers(dtype, s.out_count(), 3, 2);
    const Pooled out = avg_pool(s, x, dy, true);
    std::vector<float> dx(static_cast<std::size_t>(s.in_count()));
    for_each_output(s, [&](std::size_t y, const std::vector<std::size_t>& seen) {
      float sum = 0.0f;
      for (const std::size_t i : seen) {
        sum += x[i];
        dx[i] += dy[y] / 8.0f;
      }
      ASSERT_EQ(out.y[y], sum / 8.0f) << y;
    });
    for (std::size_t i = 0; i < dx.size(); ++i) ASSERT_EQ(out.dx[i], dx[i]) << i;
  }
}

TEST(AvgPool, PassesANaNOn) {
  const PoolShape s = kCases[1].shape(DType::float32);
  Elements x(s.dtype, uniform(s.in_count(), -1, 1, 1));
  x.set(at(s.in, s.channels, 1, 3, 2, 7), NAN);
  const Pooled out = avg_pool(s, x, Elements(s.dtype, s.out_count()), true);
  for (std::size_t i = 0; i < out.y.size(); ++i) {
    ASSERT_EQ(std::isnan(out.y[i]), i == at(s.out, s.channels, 1, 1, 1, 7)) << i;
  }
}

TEST(Pool, RefusesWhatItsCoordinatesDoNotReach) {
  PoolShape s = kCases[1].shape(DType::float32);
  EXPECT_TRUE(pool_fits(s));
  s.window.kernel = {1, (1 << 28) + 1};
  EXPECT_FALSE(pool_fits(s));
  s = kCases[1].shape(DType::float32);
  s.channels = (1 << 28) + 1;
  EXPECT_FALSE(pool_fits(s));
}

}  // namespace
}  // namespace convoy::kernels
