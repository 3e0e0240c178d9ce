#include "kernels/muon.h"

#include <cmath>

#include "kernels/muon_math.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

// Three matrices in an arena, with gaps between them: of less than a pack, of a block, of several blocks and
// a rest.
constexpr std::int64_t kBegins[] = {0, 8, 4112};
constexpr std::int64_t kCounts[] = {3, 4096, 9001};
constexpr std::size_t kArena = 4112 + 9008;
constexpr float kUntouched = -7.0f;

struct Muon {
  std::vector<float> parameters = uniform(kArena, -1, 1, 1), gradients = uniform(kArena, -1, 1, 2),
                     momentum = uniform(kArena, -1, 1, 3),
                     directions = std::vector<float>(kArena, kUntouched),
                     orthogonal = uniform(kArena, -1, 1, 4);
  std::vector<__nv_bfloat16> copies = std::vector<__nv_bfloat16>(kArena);
  std::vector<MuonChunk> chunks;
  std::vector<MuonMatrix> matrices;
  std::vector<double> partials;
  float factor = 0.5f;

  Muon() {
    for (std::size_t m = 0; m < std::size(kBegins); ++m) {
      const auto first = static_cast<std::int32_t>(chunks.size());
      for (std::int64_t at = 0; at < kCounts[m]; at += kMuonChunk) {
        chunks.push_back({kBegins[m] + at,
                          static_cast<std::int32_t>(std::min<std::int64_t>(kMuonChunk, kCounts[m] - at)),
                          static_cast<std::int32_t>(m)});
      }
      matrices.push_back(
          {first, static_cast<std::int32_t>(chunks.size()) - first, 1.0f + 0.5f * static_cast<float>(m)});
    }
    partials.assign(chunks.size(), NAN);
  }

  MuonArenas view() {
    return {.parameters = parameters.data(),
            .gradients = gradients.data(),
            .momentum = momentum.data(),
            .directions = directions.data(),
            .orthogonal = orthogonal.data(),
            .copies = copies.data(),
            .gradient_factor = &factor,
            .chunks = chunks.data(),
            .chunk_count = static_cast<std::int32_t>(chunks.size()),
            .matrices = matrices.data(),
            .partials = partials.data()};
  }
};

/// The matrix that has the element; -1 in the gaps.
int matrix_of(std::size_t element) {
  for (int m = 0; m < 3; ++m) {
    const auto at = static_cast<std::int64_t>(element) - kBegins[m];
    if (at >= 0 && at < kCounts[m]) return m;
  }
  return -1;
}

TEST(Muon, DirectionsAreTheMomentumsOfNormOne) {
  for (const bool nesterov : {true, false}) {
    const MuonRule rule{.momentum = 0.75f, .nesterov = nesterov};
    const auto run = [&] {
      Muon muon;
      muon_directions(muon.view(), rule, nullptr);
      return std::pair(muon.directions, muon.momentum);
    };
    const auto [directions, momentum] = in_every_order(run);
    Muon before;
    double squares[3] = {};
    std::vector<float> raw(kArena);
    for (std::size_t i = 0; i < kArena; ++i) {
      const int m = matrix_of(i);
      if (m < 0) {
        EXPECT_EQ(directions[i], kUntouched) << i;
        EXPECT_EQ(momentum[i], before.momentum[i]) << i;
        continue;
      }
      raw[i] = muon_direction(0.5f * before.gradients[i], before.momentum[i], 0.75f, nesterov);
      EXPECT_EQ(momentum[i], before.momentum[i]) << i;
      squares[m] += static_cast<double>(raw[i]) * raw[i];
    }
    for (std::size_t i = 0; i < kArena; ++i) {
      const int m = matrix_of(i);
      if (m < 0) continue;  // the norm, its inverse and the product are rounded once each
      EXPECT_NEAR(directions[i], raw[i] / std::sqrt(squares[m]), 1.5 * kEpsilon * std::abs(directions[i]))
          << i;
    }
  }
}

TEST(Muon, TheDirectionIsPyTorchsLerp) {
  float buffer = 0.5f;
  EXPECT_EQ(muon_direction(2.0f, buffer, 0.75f, true), 1.15625f);  // 2 + 0.75 (0.875 - 2)
  EXPECT_EQ(buffer, 0.875f);                                       // 0.5 + 0.25 (2 - 0.5)
  EXPECT_EQ(muon_direction(0.0f, buffer, 0.5f, false), 0.4375f);
}

TEST(Muon, ANormOfNothingDividesNothingByZero) {
  Muon muon;
  for (auto* values : {&muon.gradients, &muon.momentum}) std::fill(values->begin(), values->end(), 0.0f);
  muon_directions(muon.view(), {.momentum = 0.5f}, nullptr);
  EXPECT_EQ(muon.directions[0], 0.0f);
}

TEST(Muon, AppliesWhatIsOrthogonalByTheStepsRate) {
  const MuonRule rule{.weight_decay = 0.125f, .rate_factor = 4.0f};
  const StepScalars scalars{.step = 1, .learning_rate = 0.0625f};
  const auto run = [&] {
    Muon muon;
    muon_apply(muon.view(), rule, &scalars, nullptr);
    std::vector<float> copies;
    for (const __nv_bfloat16 copy : muon.copies) copies.push_back(__bfloat162float(copy));
    return std::pair(muon.parameters, copies);
  };
  const auto [parameters, copies] = in_every_order(run);
  const Muon before;
  for (std::size_t i = 0; i < kArena; ++i) {
    const int m = matrix_of(i);
    float expected = before.parameters[i];
    if (m >= 0) {
      expected =
          muon_update(expected, before.orthogonal[i], 0.25f, 1.0f + 0.5f * static_cast<float>(m), 0.125f);
      EXPECT_EQ(copies[i], rounded_to_bfloat16(expected)) << i;
    }
    EXPECT_EQ(parameters[i], expected) << i;
  }
  EXPECT_EQ(muon_update(2.0f, 0.5f, 0.25f, 2.0f, 0.5f), 1.5f);  // 2 (1 - 0.125) - 0.5 0.5
}

}  // namespace
}  // namespace convoy::kernels
