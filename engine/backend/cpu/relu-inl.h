// Included once for each of Highway's targets, by loops that have a ReLU in them.
#if defined(CONVOY_CPU_RELU_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_CPU_RELU_INL
#undef CONVOY_CPU_RELU_INL
#else
#define CONVOY_CPU_RELU_INL
#endif

#include <hwy/highway.h>

#include <limits>

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// What a value must be greater than to pass: zero. Without a ReLU NaN, as no value is at or below that.
template <class D>
HWY_INLINE hn::Vec<D> relu_threshold(D d, bool relu = true) {
  return hn::Set(d, relu ? 0.0f : std::numeric_limits<float>::quiet_NaN());
}

/// `value` where a ReLU lets `y` pass, 0 elsewhere. As in PyTorch a NaN passes, too.
template <class V>
HWY_INLINE V behind_relu(V value, V y, V threshold) {
  return hn::IfThenZeroElse(hn::Le(y, threshold), value);
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
