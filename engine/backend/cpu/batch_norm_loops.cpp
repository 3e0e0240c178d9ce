#include "engine/backend/cpu/batch_norm_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/batch_norm_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "engine/backend/cpu/relu-inl.h"
#include "engine/backend/cpu/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

void add_deviations(const DeviationSums& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto pivot = load(d, p.pivot, lane);
    sum_rows(d, begin, end, lane, p.sum, p.squares, [&](std::int64_t i, auto& sum, auto& squares) HWY_ATTR {
      const auto deviation = hn::Sub(hn::LoadU(d, p.x + i), pivot);
      sum = hn::Add(sum, deviation);
      squares = hn::Add(squares, hn::Mul(deviation, deviation));
    });
  });
}

void normalize(const Normalization16& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto threshold = relu_threshold(d, p.relu);
    for (std::int64_t i = begin; i < end; i += kRow) {
      const auto y = hn::Add(hn::Mul(hn::Sub(hn::LoadU(d, p.x + i), mean), scale), shift);
      hn::StoreU(behind_relu(y, y, threshold), d, p.y + i);
    }
  });
}

void add_gradients(const GradientSums& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto threshold = relu_threshold(d, p.relu);
    sum_rows(d, begin, end, lane, p.sum, p.products, [&](std::int64_t i, auto& sum, auto& products) HWY_ATTR {
      const auto deviation = hn::Sub(hn::LoadU(d, p.x + i), mean);
      const auto y = hn::Add(hn::Mul(deviation, scale), shift);
      const auto g = behind_relu(hn::LoadU(d, p.dy + i), y, threshold);
      sum = hn::Add(sum, g);
      products = hn::Add(products, hn::Mul(g, deviation));
    });
  });
}

void differentiate(const InputGradient& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto slope = load(d, p.slope, lane);
    const auto constant = load(d, p.constant, lane);
    const auto threshold = relu_threshold(d, p.relu);
    for (std::int64_t i = begin; i < end; i += kRow) {
      const auto deviation = hn::Sub(hn::LoadU(d, p.x + i), mean);
      const auto y = hn::Add(hn::Mul(deviation, scale), shift);
      const auto g = behind_relu(hn::LoadU(d, p.dy + i), y, threshold);
      const auto rest = hn::Add(hn::Mul(slope, deviation), constant);
      hn::StoreU(hn::Add(hn::Mul(scale, g), rest), d, p.dx + i);
    }
  });
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(add_deviations);
HWY_EXPORT(normalize);
HWY_EXPORT(add_gradients);
HWY_EXPORT(differentiate);

void add_deviations(const DeviationSums& plane) { HWY_DYNAMIC_DISPATCH(add_deviations)(plane); }
void normalize(const Normalization16& plane) { HWY_DYNAMIC_DISPATCH(normalize)(plane); }
void add_gradients(const GradientSums& plane) { HWY_DYNAMIC_DISPATCH(add_gradients)(plane); }
void differentiate(const InputGradient& plane) { HWY_DYNAMIC_DISPATCH(differentiate)(plane); }

}  // namespace convoy::cpu
#endif
