#include "engine/backend/cpu/elementwise_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/elementwise_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "engine/backend/cpu/relu-inl.h"
#include "engine/backend/cpu/storage-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

/// out[i] = of(a[i], b[i])
template <typename T, class Of>
HWY_INLINE void combine(const T* a, const T* b, T* out, std::int64_t count, Of of) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(of(d, load(d, a + i), load(d, b + i)), d, out + i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) store(of(one, load(one, a + i), load(one, b + i)), one, out + i);
}

template <typename T>
HWY_INLINE void add_of(const T* a, const T* b, T* out, std::int64_t count) {
  combine(a, b, out, count, [](auto, auto p, auto q) HWY_ATTR { return hn::Add(p, q); });
}

template <typename T>
HWY_INLINE void mask_by_relu_of(const T* y, const T* from, T* out, std::int64_t count) {
  combine(y, from, out, count,
          [](auto d, auto p, auto q) HWY_ATTR { return behind_relu(q, p, relu_threshold(d)); });
}

template <typename From, typename To>
HWY_INLINE void convert_of(const From* from, To* to, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(load(d, from + i), d, to + i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) store(load(one, from + i), one, to + i);
}

void widen(const Bfloat16* from, float* to, std::int64_t count) { convert_of(from, to, count); }

void narrow(const float* from, Bfloat16* to, std::int64_t count) { convert_of(from, to, count); }

void add_f32(const float* a, const float* b, float* out, std::int64_t count) { add_of(a, b, out, count); }

void add_bf16(const Bfloat16* a, const Bfloat16* b, Bfloat16* out, std::int64_t count) {
  add_of(a, b, out, count);
}

void multiply(const float* a, const float* b, float* out, std::int64_t count) {
  combine(a, b, out, count, [](auto, auto p, auto q) HWY_ATTR { return hn::Mul(p, q); });
}

void mask_by_relu_f32(const float* y, const float* from, float* out, std::int64_t count) {
  mask_by_relu_of(y, from, out, count);
}

void mask_by_relu_bf16(const Bfloat16* y, const Bfloat16* from, Bfloat16* out, std::int64_t count) {
  mask_by_relu_of(y, from, out, count);
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(add_f32);
HWY_EXPORT(add_bf16);
HWY_EXPORT(multiply);
HWY_EXPORT(widen);
HWY_EXPORT(narrow);
HWY_EXPORT(mask_by_relu_f32);
HWY_EXPORT(mask_by_relu_bf16);

void add(const float* a, const float* b, float* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(add_f32)(a, b, out, count);
}

void add(const Bfloat16* a, const Bfloat16* b, Bfloat16* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(add_bf16)(a, b, out, count);
}

void convert(const Bfloat16* from, float* to, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(widen)(from, to, count);
}

void convert(const float* from, Bfloat16* to, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(narrow)(from, to, count);
}

void multiply(const float* a, const float* b, float* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(multiply)(a, b, out, count);
}

void mask_by_relu(const float* y, const float* from, float* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(mask_by_relu_f32)(y, from, out, count);
}

void mask_by_relu(const Bfloat16* y, const Bfloat16* from, Bfloat16* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(mask_by_relu_bf16)(y, from, out, count);
}

}  // namespace convoy::cpu
#endif
