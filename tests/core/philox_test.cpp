#include "engine/core/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

namespace convoy {
namespace {

std::array<std::uint32_t, 4> words(std::uint64_t key, const Philox4& counter) {
  const Philox4 draw = philox(key, counter);
  return {draw.word[0], draw.word[1], draw.word[2], draw.word[3]};
}

using Words = std::array<std::uint32_t, 4>;

// The known answers for philox4x32-10 that Random123 publishes (tests/kat_vectors). Its two key words are the
// low and the high half of ours.
TEST(Philox, GivesThePublishedKnownAnswers) {
  EXPECT_EQ(words(0, {{0, 0, 0, 0}}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words(~0ull, {{~0u, ~0u, ~0u, ~0u}}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(0x299f31d0'a4093822ull, {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, FloatsLieInTheHalfOpenUnitInterval) {
  EXPECT_EQ(uniform_float(0), 0.0f);
  EXPECT_EQ(uniform_float(0xff), 0.0f);  // the lower 8 bits do not count
  EXPECT_EQ(uniform_float(0x100), 0x1p-24f);
  EXPECT_EQ(uniform_float(0x80000000u), 0.5f);
  EXPECT_EQ(uniform_float(~0u), 1.0f - 0x1p-24f);
}

TEST(Philox, FieldAndSequenceAreTheSameNumbers) {
  const RandomStream random{.seed = 0x123456789abcdefull, .stream = 7};
  PhiloxSequence sequence(random, /*step=*/3);
  for (std::uint64_t index = 0; index < 11; ++index) {
    SCOPED_TRACE(index);
    EXPECT_EQ(uniform_float(sequence.next()), uniform_at(random, 3, index));
  }
}

TEST(Philox, FieldUsesAllBitsOfItsIndex) {
  const RandomStream random{.seed = 1, .stream = 2};
  const std::uint64_t index = (std::uint64_t{5} << 34) + 6;  // block 5 * 2^32 + 1, word 2
  EXPECT_EQ(uniform_at(random, 9, index), uniform_float(words(1, {{1, 5, 9, 2}})[2]));
}

TEST(Philox, SeedsStreamsAndStepsDraws) {
  const auto first = [](RandomStream random, std::uint32_t step) {
    return PhiloxSequence(random, step).next();
  };
  const std::set<std::uint32_t> draws = {first({1, 0}, 0), first({2, 0}, 0), first({1, 1}, 0),
                                         first({1, 0}, 1), first({std::uint64_t{1} << 32, 0}, 0)};
  EXPECT_EQ(draws.size(), 5u);
}

TEST(PhiloxSequence, UniformScalesTheUnitInterval) {
  const RandomStream random{.seed = 4, .stream = 0};
  PhiloxSequence sequence(random);
  for (std::uint64_t index = 0; index < 1000; ++index) {
    const double value = sequence.uniform(-2.0, 6.0);
    EXPECT_EQ(value, -2.0 + 8.0 * static_cast<double>(uniform_at(random, 0, index)));
    EXPECT_GE(value, -2.0);
    EXPECT_LT(value, 6.0);
  }
}

TEST(PhiloxSequence, BelowStaysBelowAndIsEven) {
  constexpr std::uint32_t kBound = 6;
  constexpr int kDraws = 60'000;
  PhiloxSequence sequence({.seed = 5, .stream = 0});
  std::vector<int> hits(kBound);
  for (int i = 0; i < kDraws; ++i) ++hits.at(sequence.below(kBound));
  // Six standard deviations of a binomial count with p = 1/6.
  const double tolerance = 6.0 * std::sqrt(kDraws * (1.0 / 6.0) * (5.0 / 6.0));
  for (const int count : hits) EXPECT_NEAR(count, kDraws / 6, tolerance);
}

TEST(PhiloxSequence, BelowRedrawsWhatWouldBeBiased) {
  // Of four draws to three values, one must be rejected; else every third value would come twice as often.
  constexpr std::uint32_t kBound = 3u << 30;
  constexpr int kDraws = 30'000;
  PhiloxSequence sequence({.seed = 6, .stream = 0});
  std::vector<int> hits(3);
  for (int i = 0; i < kDraws; ++i) {
    const std::uint32_t value = sequence.below(kBound);
    ASSERT_LT(value, kBound);
    ++hits[value % 3];
  }
  const double tolerance = 6.0 * std::sqrt(kDraws * (1.0 / 3.0) * (2.0 / 3.0));
  for (const int count : hits) EXPECT_NEAR(count, kDraws / 3, tolerance);
}

TEST(PhiloxSequence, BelowOneIsZero) {
  PhiloxSequence sequence({.seed = 7, .stream = 0});
  for (int i = 0; i < 9; ++i) EXPECT_EQ(sequence.below(1), 0u);
}

}  // namespace
}  // namespace convoy
