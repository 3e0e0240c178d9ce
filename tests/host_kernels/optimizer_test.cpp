#include "kernels/optimizer.h"

#include <cmath>

#include "engine/core/step_table.h"
#include "kernels/adam_math.h"
#include "kernels/schedule_math.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

constexpr std::int64_t kCounts[] = {0, 1, 3, 4, 5, 1023, 1024, 1025, 3001};
constexpr int kSteps = 4;

std::vector<float> rounded_copies(const std::vector<float>& values) {
  std::vector<float> result;
  for (const float value : values) result.push_back(rounded_to_bfloat16(value));
  return result;
}

std::vector<float> widened(const std::vector<__nv_bfloat16>& values) {
  std::vector<float> result;
  for (const __nv_bfloat16 value : values) result.push_back(__bfloat162float(value));
  return result;
}

struct Trained {
  std::vector<float> parameters, first, second, copies;
  bool operator==(const Trained&) const = default;
};

std::vector<float> gradients_of(std::int64_t count, int step) {
  return uniform(count, -1, 1, static_cast<std::uint32_t>(10 + step));
}

Trained run_adam(std::int64_t count, const AdamOptions& options) {
  const auto size = static_cast<std::size_t>(count);
  Trained t{uniform(count, -1, 1, 1), std::vector<float>(size), std::vector<float>(size), {}};
  std::vector<__nv_bfloat16> copies(size);
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    const auto gradients = gradients_of(count, static_cast<int>(step));
    const StepScalars scalars = step_scalars(step_table(step_rule(options)), step);
    adam_step({.parameters = t.parameters.data(),
               .gradients = gradients.data(),
               .first_moments = t.first.data(),
               .second_moments = t.second.data(),
               .copies = copies.data(),
               .count = count},
              options, &scalars, nullptr);
  }
  t.copies = widened(copies);
  return t;
}

// PyTorch's formula, all in double.
std::vector<double> adam_reference(std::int64_t count, const AdamOptions& o) {
  const auto start = uniform(count, -1, 1, 1);
  std::vector<double> p(start.begin(), start.end()), m(p.size()), v(p.size());
  for (int step = 1; step <= kSteps; ++step) {
    const auto g = gradients_of(count, step);
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double decay = static_cast<double>(o.weight_decay) * p[i];
      const double gradient = g[i] + (o.decoupled_weight_decay ? 0.0 : decay);
      if (o.decoupled_weight_decay) p[i] -= o.learning_rate * decay;
      m[i] = o.beta1 * m[i] + (1.0 - o.beta1) * gradient;
      v[i] = o.beta2 * v[i] + (1.0 - o.beta2) * gradient * gradient;
      const double first = m[i] / (1 - std::pow(static_cast<double>(o.beta1), step));
      const double second = v[i] / (1 - std::pow(static_cast<double>(o.beta2), step));
      p[i] -= o.learning_rate * first / (std::sqrt(second) + o.epsilon);
    }
  }
  return p;
}

TEST(Adam, MatchesTheDoubleReferenceAndTheHostsArithmetic) {
  const AdamOptions all[] = {{.learning_rate = 1e-2f},
                             {.learning_rate = 1e-2f, .weight_decay = 0.1f},
                             {.learning_rate = 1e-2f, .weight_decay = 0.1f, .decoupled_weight_decay = true}};
  for (const AdamOptions& options : all) {
    for (const std::int64_t count : kCounts) {
      SCOPED_TRACE(count);
      const Trained trained = in_every_order([&] { return run_adam(count, options); });
      const auto reference = adam_reference(count, options);
      for (std::size_t i = 0; i < reference.size(); ++i) {
        // An update is about learning_rate in size and errs by some 20 roundings of it: 1 - beta2 alone has
        // lost 10 bits in float, so its 2^-24 / 2^-10; halved by the root. The parameter rounds once a step.
        const double tolerance = kSteps * (kEpsilon + 1e-2 * (20 * kEpsilon + 0x1p-14));
        ASSERT_NEAR(trained.parameters[i], reference[i], tolerance) << i;
      }
      EXPECT_EQ(trained.copies, rounded_copies(trained.parameters));
    }
  }
}

TEST(Adam, DecaysWithTheGradientOrBesideIt) {
  // Without a gradient the decay is the gradient (a first step of the learning rate, whatever its size), or
  // shrinks the parameter by its share.
  for (const bool decoupled : {false, true}) {
    std::vector<float> p = {1.0f, -4.0f}, m(2), v(2);
    const std::vector<float> g(2);
    const AdamOptions options{
        .learning_rate = 0.25f, .weight_decay = 0.5f, .decoupled_weight_decay = decoupled};
    const StepScalars scalars = step_scalars(step_table(step_rule(options)), 1);
    adam_step({p.data(), g.data(), m.data(), v.data(), nullptr, 2}, options, &scalars, nullptr);
    EXPECT_NEAR(p[0], decoupled ? 0.875 : 0.75, 1e-6);
    EXPECT_NEAR(p[1], decoupled ? -3.5 : -3.75, 1e-6);
  }
}

// The same functions called in a plain loop: the kernel adds nothing to the arithmetic.
TEST(Adam, EqualsALoopOverAdamUpdate) {
  const AdamOptions options{};
  const Trained trained = run_adam(1025, options);
  std::vector<float> p = uniform(1025, -1, 1, 1), m(1025), v(1025);
  for (int step = 1; step <= kSteps; ++step) {
    const auto g = gradients_of(1025, step);
    for (std::size_t i = 0; i < p.size(); ++i) {
      p[i] = adam_update(p[i], g[i], m[i], v[i], step_scalars(step_table(step_rule(options)), step), options);
    }
  }
  EXPECT_EQ(trained.parameters, p);
  EXPECT_EQ(trained.first, m);
  EXPECT_EQ(trained.second, v);
}

TEST(Adam, WorksWithoutCopies) {
  for (const std::int64_t count : {5, 8}) {
    auto p = uniform(count, -1, 1, 1);
    const auto g = gradients_of(count, 1);
    std::vector<float> m(p.size()), v(p.size());
    const AdamOptions options{.learning_rate = 0.5f};
    const StepScalars scalars = step_scalars(step_table(step_rule(options)), 1);
    adam_step({p.data(), g.data(), m.data(), v.data(), nullptr, count}, options, &scalars, nullptr);
    for (std::size_t i = 0; i < p.size(); ++i) {  // the first step is the learning rate, towards -sign(g)
      EXPECT_NEAR(p[i], uniform(count, -1, 1, 1)[i] - std::copysign(0.5, g[i]), 1e-4);
    }
  }
}

// Groups of eight elements: one as always, one without decay, one that is left alone. And gradients count by
// the factor.
TEST(Adam, TreatsEachGroupAsItsOwn) {
  const AdamOptions options{.learning_rate = 1e-2f, .weight_decay = 0.1f};
  AdamOptions spared = options;
  spared.weight_decay = 0.0f;
  constexpr std::int64_t kCount = 22;  // the last group ends in the middle of a pack
  const ParameterGroup groups[] = {ParameterGroup::decayed, ParameterGroup::orthogonalized,
                                   ParameterGroup::undecayed};
  const float factor = 0.25f;
  const auto start = uniform(kCount, -1, 1, 1), gradients = gradients_of(kCount, 1);
  const StepScalars scalars = step_scalars(step_table(step_rule(options)), 1);
  auto p = start;
  std::vector<float> m(kCount), v(kCount);
  adam_step({p.data(), gradients.data(), m.data(), v.data(), nullptr, kCount, groups, &factor}, options,
            &scalars, nullptr);
  for (std::size_t i = 0; i < kCount; ++i) {
    float first = 0.0f, second = 0.0f, expected = start[i];
    if (i / 8 != 1) {
      expected =
          adam_update(start[i], 0.25f * gradients[i], first, second, scalars, i < 8 ? options : spared);
    }
    EXPECT_EQ(p[i], expected) << i;
    EXPECT_EQ(m[i], first);
    EXPECT_EQ(v[i], second);
  }
}

TEST(Sgd, TreatsEachGroupAsItsOwn) {
  const SgdOptions options{.learning_rate = 0.5f, .momentum = 0.5f, .weight_decay = 0.25f};
  constexpr std::int64_t kCount = 22;
  const ParameterGroup groups[] = {ParameterGroup::undecayed, ParameterGroup::orthogonalized,
                                   ParameterGroup::decayed};
  const float factor = 0.5f;
  std::vector<float> p(kCount, 4.0f), buffer(kCount);
  const std::vector<float> gradients(kCount, 2.0f);
  const StepScalars scalars = step_scalars(step_table(step_rule(options)), 1);
  sgd_step({p.data(), gradients.data(), buffer.data(), nullptr, kCount, groups, &factor}, options, &scalars,
           nullptr);
  for (std::size_t i = 0; i < kCount; ++i) {  // 4 - 0.5 (0.5 2 + decay 4)
    EXPECT_EQ(p[i], i < 8 ? 3.5f : i < 16 ? 4.0f : 3.0f) << i;
    EXPECT_EQ(buffer[i], i < 8 ? 1.0f : i < 16 ? 0.0f : 2.0f) << i;
  }
}

Trained run_sgd(std::int64_t count, const SgdOptions& options, bool extras) {
  const auto size = static_cast<std::size_t>(count);
  Trained t{uniform(count, -1, 1, 1), std::vector<float>(size), {}, {}};
  std::vector<__nv_bfloat16> copies(size);
  for (int step = 1; step <= kSteps; ++step) {
    const auto gradients = gradients_of(count, step);
    const StepScalars scalars = step_scalars(step_table(step_rule(options)), step);
    sgd_step({.parameters = t.parameters.data(),
              .gradients = gradients.data(),
              .momentum = options.momentum != 0.0f ? t.first.data() : nullptr,
              .copies = extras ? copies.data() : nullptr,
              .count = count},
             options, &scalars, nullptr);
  }
  if (extras) t.copies = widened(copies);
  return t;
}

// PyTorch's torch.optim.SGD, all in double, with its special case for the first step.
std::vector<double> sgd_reference(std::int64_t count, const SgdOptions& o) {
  const auto start = uniform(count, -1, 1, 1);
  std::vector<double> p(start.begin(), start.end()), buffer(p.size());
  for (int step = 1; step <= kSteps; ++step) {
    const auto gradients = gradients_of(count, step);
    for (std::size_t i = 0; i < p.size(); ++i) {
      double g = gradients[i] + static_cast<double>(o.weight_decay) * p[i];
      if (o.momentum != 0.0f) {
        buffer[i] = step == 1 ? g : o.momentum * buffer[i] + g;
        g = o.nesterov ? g + o.momentum * buffer[i] : buffer[i];
      }
      p[i] -= o.learning_rate * g;
    }
  }
  return p;
}

TEST(Sgd, MatchesTheDoubleReference) {
  const SgdOptions all[] = {
      {.learning_rate = 0.1f},
      {.learning_rate = 0.1f, .weight_decay = 0.01f},
      {.learning_rate = 0.1f, .momentum = 0.9f},
      {.learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f, .nesterov = true}};
  for (const SgdOptions& options : all) {
    for (const std::int64_t count : kCounts) {
      SCOPED_TRACE(count);
      const Trained trained = in_every_order([&] { return run_sgd(count, options, true); });
      const auto reference = sgd_reference(count, options);
      for (std::size_t i = 0; i < reference.size(); ++i) {
        // Values stay below 4; a step rounds the buffer twice, the direction twice and the parameter twice.
        ASSERT_NEAR(trained.parameters[i], reference[i], kSteps * 6 * kEpsilon) << i;
      }
      EXPECT_EQ(trained.copies, rounded_copies(trained.parameters));
    }
  }
}

TEST(Sgd, WorksWithoutCopies) {
  const SgdOptions options{.learning_rate = 0.1f, .momentum = 0.9f};
  EXPECT_EQ(run_sgd(13, options, false).parameters, run_sgd(13, options, true).parameters);
}

TEST(Average, IsTheRunningMeanAndIsStoredWithItsCopies) {
  for (const std::int64_t count : kCounts) {
    SCOPED_TRACE(count);
    const auto size = static_cast<std::size_t>(count);
    const auto run = [&] {
      Trained t{std::vector<float>(size), std::vector<float>(size, NAN), {}, {}};
      std::vector<__nv_bfloat16> copies(size);
      AverageArenas arenas{
          .means = t.first.data(), .parameters = nullptr, .copies = copies.data(), .count = count};
      for (int step = 1; step <= 10; ++step) {
        t.parameters = gradients_of(count, step);
        arenas.parameters = t.parameters.data();
        average_add(arenas, step, nullptr);
      }
      average_store(arenas, nullptr);
      t.copies = widened(copies);
      return t;
    };
    const Trained averaged = in_every_order(run);
    EXPECT_EQ(averaged.parameters, averaged.first);
    EXPECT_EQ(averaged.copies, rounded_copies(averaged.first));
    for (std::size_t i = 0; i < size; ++i) {
      double mean = 0.0;
      for (int step = 1; step <= 10; ++step) mean += gradients_of(count, step)[i] / 10.0;
      ASSERT_NEAR(averaged.first[i], mean, 5 * kEpsilon) << "half a rounding of at most 1 a step";
    }
  }
}

TEST(Average, IsStoredWithoutCopies) {
  std::vector<float> means = uniform(7, -1, 1, 1), parameters(7);
  average_store({means.data(), parameters.data(), nullptr, 7}, nullptr);
  EXPECT_EQ(parameters, means);
}

}  // namespace
}  // namespace convoy::kernels
