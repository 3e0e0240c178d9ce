#include "engine/backend/cpu/batch_norm_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/batch_norm_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "engine/backend/cpu/relu-inl.h"
#include "engine/backend/cpu/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

template <typename T>
HWY_INLINE void add_deviations_of(const DeviationSums<T>& p) {
  for_each_part(p.size, p.row, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto pivot = load(d, p.pivot, lane);
    sum_rows(d, begin, end, p.row, lane, p.sum, p.squares,
             [&](std::int64_t i, auto& sum, auto& squares) HWY_ATTR {
               const auto deviation = hn::Sub(load(d, p.x + i), pivot);
               sum = hn::Add(sum, deviation);
               squares = hn::Add(squares, hn::Mul(deviation, deviation));
             });
  });
}

template <typename T>
HWY_INLINE void normalize_of(const Normalization16<T>& p) {
  for_each_part(p.size, p.row, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto threshold = relu_threshold(d, p.relu);
    for (std::int64_t i = begin; i < end; i += p.row) {
      const auto y = hn::Add(hn::Mul(hn::Sub(load(d, p.x + i), mean), scale), shift);
      store(behind_relu(y, y, threshold), d, p.y + i);
    }
  });
}

template <typename T>
HWY_INLINE void add_gradients_of(const GradientSums<T>& p) {
  for_each_part(p.size, p.row, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto threshold = relu_threshold(d, p.relu);
    sum_rows(d, begin, end, p.row, lane, p.sum, p.products,
             [&](std::int64_t i, auto& sum, auto& products) HWY_ATTR {
               const auto deviation = hn::Sub(load(d, p.x + i), mean);
               const auto y = hn::Add(hn::Mul(deviation, scale), shift);
               const auto g = behind_relu(load(d, p.dy + i), y, threshold);
               sum = hn::Add(sum, g);
               products = hn::Add(products, hn::Mul(g, deviation));
             });
  });
}

template <typename T>
HWY_INLINE void differentiate_of(const InputGradient<T>& p) {
  for_each_part(p.size, p.row, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto slope = load(d, p.slope, lane);
    const auto constant = load(d, p.constant, lane);
    const auto threshold = relu_threshold(d, p.relu);
    for (std::int64_t i = begin; i < end; i += p.row) {
      const auto deviation = hn::Sub(load(d, p.x + i), mean);
      const auto y = hn::Add(hn::Mul(deviation, scale), shift);
      const auto g = behind_relu(load(d, p.dy + i), y, threshold);
      const auto rest = hn::Add(hn::Mul(slope, deviation), constant);
      store(hn::Add(hn::Mul(scale, g), rest), d, p.dx + i);
    }
  });
}

void add_deviations_f32(const DeviationSums<float>& p) { add_deviations_of(p); }
void add_deviations_bf16(const DeviationSums<Bfloat16>& p) { add_deviations_of(p); }
void normalize_f32(const Normalization16<float>& p) { normalize_of(p); }
void normalize_bf16(const Normalization16<Bfloat16>& p) { normalize_of(p); }
void add_gradients_f32(const GradientSums<float>& p) { add_gradients_of(p); }
void add_gradients_bf16(const GradientSums<Bfloat16>& p) { add_gradients_of(p); }
void differentiate_f32(const InputGradient<float>& p) { differentiate_of(p); }
void differentiate_bf16(const InputGradient<Bfloat16>& p) { differentiate_of(p); }

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(add_deviations_f32);
HWY_EXPORT(add_deviations_bf16);
HWY_EXPORT(normalize_f32);
HWY_EXPORT(normalize_bf16);
HWY_EXPORT(add_gradients_f32);
HWY_EXPORT(add_gradients_bf16);
HWY_EXPORT(differentiate_f32);
HWY_EXPORT(differentiate_bf16);

void add_deviations(const DeviationSums<float>& plane) { HWY_DYNAMIC_DISPATCH(add_deviations_f32)(plane); }
void add_deviations(const DeviationSums<Bfloat16>& plane) {
  HWY_DYNAMIC_DISPATCH(add_deviations_bf16)(plane);
}
void normalize(const Normalization16<float>& plane) { HWY_DYNAMIC_DISPATCH(normalize_f32)(plane); }
void normalize(const Normalization16<Bfloat16>& plane) { HWY_DYNAMIC_DISPATCH(normalize_bf16)(plane); }
void add_gradients(const GradientSums<float>& plane) { HWY_DYNAMIC_DISPATCH(add_gradients_f32)(plane); }
void add_gradients(const GradientSums<Bfloat16>& plane) { HWY_DYNAMIC_DISPATCH(add_gradients_bf16)(plane); }
void differentiate(const InputGradient<float>& plane) { HWY_DYNAMIC_DISPATCH(differentiate_f32)(plane); }
void differentiate(const InputGradient<Bfloat16>& plane) { HWY_DYNAMIC_DISPATCH(differentiate_bf16)(plane); }

}  // namespace convoy::cpu
#endif
