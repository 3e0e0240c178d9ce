#include "engine/backend/cpu/elementwise_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/elementwise_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "engine/backend/cpu/relu-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

/// out[i] = of(a[i], b[i])
template <class Of>
HWY_INLINE void combine(const float* a, const float* b, float* out, std::int64_t count, Of of) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(of(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  }
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) hn::StoreU(of(one, hn::LoadU(one, a + i), hn::LoadU(one, b + i)), one, out + i);
}

void add(const float* a, const float* b, float* out, std::int64_t count) {
  combine(a, b, out, count, [](auto, auto p, auto q) HWY_ATTR { return hn::Add(p, q); });
}

void multiply(const float* a, const float* b, float* out, std::int64_t count) {
  combine(a, b, out, count, [](auto, auto p, auto q) HWY_ATTR { return hn::Mul(p, q); });
}

void mask_by_relu(const float* y, const float* from, float* out, std::int64_t count) {
  combine(y, from, out, count,
          [](auto d, auto p, auto q) HWY_ATTR { return behind_relu(q, p, relu_threshold(d)); });
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(add);
HWY_EXPORT(multiply);
HWY_EXPORT(mask_by_relu);

void add(const float* a, const float* b, float* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(add)(a, b, out, count);
}

void multiply(const float* a, const float* b, float* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(multiply)(a, b, out, count);
}

void mask_by_relu(const float* y, const float* from, float* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(mask_by_relu)(y, from, out, count);
}

}  // namespace convoy::cpu
#endif
