#include "kernels/elementwise.h"

#include <cmath>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

constexpr std::int64_t kCounts[] = {0, 1, 3, 4, 7, 8, 9, 1025};

TEST(Relu, ForwardAndBackwardAreExact) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t count : kCounts) {
      SCOPED_TRACE(count);
      Elements x(dtype, uniform(count, -1, 1, 1));
      Elements dy(dtype, uniform(count, -1, 1, 2));
      Elements y(dtype, count);
      in_every_order([&] {
        relu_forward(x.data(), y.data(), dtype, count, nullptr);
        return y;
      });
      const Elements dx = in_every_order([&] {
        Elements result(dtype, count);
        relu_backward({y.data(), dy.data(), result.data()}, dtype, count, nullptr);
        return result;
      });
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(y[i], x[i] > 0 ? x[i] : 0.0f);
        ASSERT_EQ(dx[i], x[i] > 0 ? dy[i] : 0.0f);
      }
    }
  }
}

TEST(Relu, ZeroPassesNoGradientAndNanStaysNan) {
  Elements x(DType::float32, {0.0f, -0.0f, NAN, INFINITY, -INFINITY});
  Elements dy(DType::float32, {1.0f, 2.0f, 3.0f, 4.0f, 5.0f});
  relu_forward(x.data(), x.data(), DType::float32, 5, nullptr);  // in place
  EXPECT_EQ(x[0], 0.0f);
  EXPECT_TRUE(std::isnan(x[2]));
  EXPECT_EQ(x[3], INFINITY);
  EXPECT_EQ(x[4], 0.0f);
  relu_backward({x.data(), dy.data(), dy.data()}, DType::float32, 5, nullptr);
  EXPECT_EQ(dy, Elements(DType::float32, {0.0f, 0.0f, 3.0f, 4.0f, 0.0f}));
}

TEST(Add, IsTheRoundedSum) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t count : kCounts) {
      Elements a(dtype, uniform(count, -1, 1, 1));
      Elements b(dtype, uniform(count, -1, 1, 2));
      const Elements sum = in_every_order([&] {
        Elements out(dtype, count);
        add({a.data(), b.data(), out.data()}, dtype, count, nullptr);
        return out;
      });
      for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(sum[i], rounded(dtype, a[i] + b[i]));
      add({a.data(), b.data(), a.data()}, dtype, count, nullptr);
      EXPECT_EQ(a, sum) << "in place";
    }
  }
}

struct Extent4 {
  std::int64_t images, channels, plane;
};

/// Where element (c, i) of image n lies.
std::size_t place(const Extent4& e, std::int64_t n, std::int64_t c, std::int64_t i) {
  return static_cast<std::size_t>((n * e.plane + i) * e.channels + c);
}

TEST(Reorder, MovesEveryElementToItsPlace) {
  for (const Extent4 e :
       {Extent4{0, 3, 4}, Extent4{1, 1, 1}, Extent4{2, 3, 35}, Extent4{3, 17, 1}, Extent4{5, 6, 49}}) {
    for (const DType dtype : kDTypes) {
      SCOPED_TRACE(testing::Message() << e.images << "x" << e.channels << "x" << e.plane);
      const std::int64_t count = e.images * e.channels * e.plane;
      const MemoryOrder order{e.channels, e.plane};
      Elements images(dtype, uniform(count, -1, 1, 1));
      const auto reordered = [&](Elements& from, const MemoryOrder& is, const MemoryOrder& becomes) {
        return in_every_order([&] {
          Elements to(dtype, count);
          reorder({from.data(), is, to.data(), becomes}, dtype, count, nullptr);
          return to;
        });
      };
      Elements rows = reordered(images, order, {});
      std::size_t row_major = 0;
      for (std::int64_t n = 0; n < e.images; ++n) {
        for (std::int64_t c = 0; c < e.channels; ++c) {
          for (std::int64_t i = 0; i < e.plane; ++i) {
            ASSERT_EQ(rows[row_major++], images[place(e, n, c, i)]);
          }
        }
      }
      EXPECT_EQ(reordered(rows, {}, order), images) << "there and back";
      const MemoryOrder turned{e.plane, e.channels};  // images of another extent, as many elements
      EXPECT_EQ(reordered(images, order, turned), reordered(rows, {}, turned)) << "from images to images";
    }
  }
}

TEST(MemoryOrder, IsTheSameWhereBothAreRowMajor) {
  EXPECT_EQ((MemoryOrder{1, 12}), MemoryOrder{});
  EXPECT_EQ((MemoryOrder{12, 1}), (MemoryOrder{1, 5}));
  EXPECT_FALSE((MemoryOrder{3, 4}) == MemoryOrder{});
  EXPECT_FALSE((MemoryOrder{3, 4}) == (MemoryOrder{4, 3}));
}

TEST(Dropout, DrawsTheMaskByTheLogicalIndex) {
  const std::int64_t step = 0x100000003;  // the stream's step has 32 bits
  for (const Extent4 e :
       {Extent4{0, 3, 4}, Extent4{1, 1, 1}, Extent4{2, 3, 35}, Extent4{3, 17, 1}, Extent4{2, 1, 49}}) {
    for (const float p : {0.0f, 0.5f, 0.9f, 1.0f}) {
      for (const DType dtype : kDTypes) {
        SCOPED_TRACE(testing::Message() << e.images << "x" << e.channels << "x" << e.plane << ", p " << p);
        const std::int64_t count = e.images * e.channels * e.plane;
        Elements in(dtype, uniform(count, 1, 2, 1));
        const DropoutOptions options{.p = p, .random = {.seed = 5, .stream = 6}, .step = &step};
        const Elements out = in_every_order([&] {
          Elements result(dtype, count);
          dropout({in.data(), result.data(), dtype, count, {e.channels, e.plane}}, options, nullptr);
          return result;
        });
        for (std::int64_t n = 0; n < e.images; ++n) {
          for (std::int64_t c = 0; c < e.channels; ++c) {
            for (std::int64_t i = 0; i < e.plane; ++i) {
              const std::size_t memory = place(e, n, c, i);
              const auto logical = static_cast<std::uint64_t>((n * e.channels + c) * e.plane + i);
              const bool kept = uniform_at(options.random, 3, logical) >= p;
              ASSERT_EQ(out[memory], kept ? rounded(dtype, in[memory] * (1.0f / (1.0f - p))) : 0.0f);
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
