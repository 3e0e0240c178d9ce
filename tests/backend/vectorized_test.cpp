// Wide in registers of every width. Compiled for any processor, so the compiler puts the wider ones together;
// cpu_loops_test.cpp runs loops in those that this processor has.
#include "engine/backend/cpu/vectorized.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "engine/backend/cpu/registers.h"
#include "tests/backend/same_bits.h"

namespace convoy::cpu {
namespace {

constexpr int kSize = 16;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
using Row = std::array<float, kSize + 1>;  // one more, to begin where no vector is aligned

constexpr Row kA = {0, 1, -2, 3, kNan, 0.5f, -0.0f, 7, 8, 9, -1, 2, 4, -8, 6, 5, 3};
constexpr Row kB = {0, 4, -3, 3, 1, kNan, 0.0f, 6, 8, 1, -2, 2, 5, -9, 7, 5, -3};

template <typename Bytes>
class WideOf : public testing::Test {};
using Widths = testing::Types<std::integral_constant<int, 4>, std::integral_constant<int, 16>,
                              std::integral_constant<int, 32>, std::integral_constant<int, 64>>;
TYPED_TEST_SUITE(WideOf, Widths);

void expect_same(float actual, float expected, std::size_t i) {
  EXPECT_TRUE(same_bits(actual, expected)) << "number " << i;
}

TYPED_TEST(WideOf, ComputesEachNumberByItself) {
  using Floats = Wide<float, kSize, TypeParam::value>;
  const Floats a = Floats::load(&kA[1]);
  const Floats b = Floats::load(&kB[1]);
  Row sum{}, difference{}, product{};
  (a + b).store(&sum[1]);
  (a - b).store(&difference[1]);
  (a * b).store(&product[1]);
  for (std::size_t i = 1; i <= kSize; ++i) {
    expect_same(sum[i], kA[i] + kB[i], i);
    expect_same(difference[i], kA[i] - kB[i], i);
    expect_same(product[i], kA[i] * kB[i], i);
  }
  EXPECT_EQ(sum[0], 0.0f);
}

TYPED_TEST(WideOf, ChoosesByComparisonsThatKnowNan) {
  using Floats = Wide<float, kSize, TypeParam::value>;
  const Floats a = Floats::load(&kA[1]);
  const Floats b = Floats::load(&kB[1]);
  Row not_above{}, either{};
  Floats::choose(a <= b, a, b).store(&not_above[1]);
  Floats::choose((a != a) | (b != b), Floats::all(1.0f), {}).store(&either[1]);
  for (std::size_t i = 1; i <= kSize; ++i) {
    expect_same(not_above[i], kA[i] <= kB[i] ? kA[i] : kB[i], i);
    EXPECT_EQ(either[i], std::isnan(kA[i]) || std::isnan(kB[i]) ? 1.0f : 0.0f) << i;
  }
}

TYPED_TEST(WideOf, ComparesIntegers) {
  using Ints = Wide<std::int32_t, 8, TypeParam::value>;
  constexpr std::array<std::int32_t, 8> kNumbers = {0, 3, -1, 3, 2, 3, 1 << 30, 4};
  std::array<std::int32_t, 8> equal{};
  (Ints::load(kNumbers.data()) == Ints::all(3)).store(equal.data());
  EXPECT_EQ(equal, (std::array<std::int32_t, 8>{0, -1, 0, -1, 0, -1, 0, 0}));
}

TEST(Vectorized, TakesTheRegistersThatItIsTold) {
  for (const int told : {16, 32, 64}) {
    if (told > widest_registers()) continue;
    int bytes = 0;
    vectorized(
        told, [&]<int kBytes>() __attribute__((always_inline)) { bytes = kBytes; });
    EXPECT_EQ(bytes, told);
  }
}

}  // namespace
}  // namespace convoy::cpu
