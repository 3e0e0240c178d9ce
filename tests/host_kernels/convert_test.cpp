#include "kernels/convert.h"

#include <cmath>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

std::vector<__nv_bfloat16> rounded(const std::vector<float>& values) {
  std::vector<__nv_bfloat16> result;
  for (const float value : values) result.push_back(__float2bfloat16(value));
  return result;
}

TEST(Cast, ComesBackFromBfloat16Exactly) {
  for (const std::int64_t count : {0, 1, 3, 4, 5, 1023, 1025}) {
    SCOPED_TRACE(count);
    const auto in = uniform(count, -1e6, 1e6, 1);
    const std::vector<__nv_bfloat16> narrow = rounded(in);
    const auto wide = in_every_order([&] {
      std::vector<float> out(in.size());
      cast(narrow.data(), out.data(), count, nullptr);
      return out;
    });
    for (std::size_t i = 0; i < in.size(); ++i) ASSERT_EQ(wide[i], rounded_to_bfloat16(in[i]));
  }
}

TEST(Cast, KeepsWhatIsNoNumber) {
  const std::vector<__nv_bfloat16> narrow = rounded({NAN, INFINITY, -0.0f});
  std::vector<float> wide(narrow.size());
  cast(narrow.data(), wide.data(), 3, nullptr);
  EXPECT_TRUE(std::isnan(wide[0]));
  EXPECT_EQ(wide[1], INFINITY);
  EXPECT_TRUE(std::signbit(wide[2]));
}

}  // namespace
}  // namespace convoy::kernels
