#include "kernels/convert.h"

#include <cmath>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

TEST(Cast, RoundsToBfloat16AndComesBackExactly) {
  for (const std::int64_t count : {0, 1, 3, 4, 5, 1023, 1025}) {
    SCOPED_TRACE(count);
    const auto in = uniform(count, -1e6, 1e6, 1);
    const auto back = in_every_order([&] {
      std::vector<__nv_bfloat16> narrow(in.size());
      std::vector<float> wide(in.size());
      cast(in.data(), narrow.data(), count, nullptr);
      cast(narrow.data(), wide.data(), count, nullptr);
      return wide;
    });
    for (std::size_t i = 0; i < in.size(); ++i) {
      ASSERT_EQ(back[i], rounded_to_bfloat16(in[i]));
      ASSERT_NEAR(back[i], in[i], kBfloat16Epsilon / 2 * std::abs(in[i]));
    }
  }
}

TEST(Cast, TiesGoToEvenAndNanStaysNan) {
  const std::vector<float> in = {1.0f + 0x1p-8f, 1.0f + 0x3p-8f, NAN, INFINITY, -0.0f};
  std::vector<__nv_bfloat16> narrow(in.size());
  std::vector<float> wide(in.size());
  cast(in.data(), narrow.data(), 5, nullptr);
  cast(narrow.data(), wide.data(), 5, nullptr);
  EXPECT_EQ(wide[0], 1.0f);
  EXPECT_EQ(wide[1], 1.0f + 0x1p-6f);
  EXPECT_TRUE(std::isnan(wide[2]));
  EXPECT_EQ(wide[3], INFINITY);
  EXPECT_TRUE(std::signbit(wide[4]));
}

TEST(Permute, MovesEveryElementAndBack) {
  struct Extents {
    std::int64_t images, channels, plane;
  };
  for (const Extents e : {Extents{0, 3, 4}, Extents{1, 1, 1}, Extents{2, 3, 35}, Extents{3, 33, 31},
                          Extents{1, 64, 65}, Extents{2, 1, 100}, Extents{5, 40, 1}}) {
    for (const Element element : kElements) {
      SCOPED_TRACE(testing::Message() << e.images << "x" << e.channels << "x" << e.plane);
      const std::int64_t count = e.images * e.channels * e.plane;
      Elements nchw(element, uniform(count, -1, 1, 1));
      Elements nhwc = in_every_order([&] {
        Elements out(element, count);
        nchw_to_nhwc({nchw.data(), out.data(), element, e.images, e.channels, e.plane}, nullptr);
        return out;
      });
      for (std::int64_t n = 0; n < e.images; ++n) {
        for (std::int64_t c = 0; c < e.channels; ++c) {
          for (std::int64_t i = 0; i < e.plane; ++i) {
            ASSERT_EQ(nhwc[static_cast<std::size_t>((n * e.plane + i) * e.channels + c)],
                      nchw[static_cast<std::size_t>((n * e.channels + c) * e.plane + i)]);
          }
        }
      }
      Elements back(element, count);
      nhwc_to_nchw({nhwc.data(), back.data(), element, e.images, e.channels, e.plane}, nullptr);
      EXPECT_EQ(back, nchw);
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
