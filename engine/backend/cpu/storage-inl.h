// Included once for each of Highway's targets: floats from memory and back, which has them as floats or as
// bf16. Loops compute in floats whatever they lie in.
#if defined(CONVOY_CPU_STORAGE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_CPU_STORAGE_INL
#undef CONVOY_CPU_STORAGE_INL
#else
#define CONVOY_CPU_STORAGE_INL
#endif

#include <hwy/highway.h>

#include "engine/backend/cpu/bfloat16.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* from) {
  return hn::LoadU(d, from);
}

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const Bfloat16* from) {
  const hn::Rebind<std::uint16_t, D> half;
  const hn::RebindToUnsigned<D> whole;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(whole, hn::LoadU(half, &from->bits))));
}

template <class D>
HWY_INLINE void store(hn::Vec<D> value, D d, float* to) {
  hn::StoreU(value, d, to);
}

/// As `rounded` does, and not by Highway 1.0, which cuts the lower half off.
template <class D>
HWY_INLINE void store(hn::Vec<D> value, D, Bfloat16* to) {
  const hn::Rebind<std::uint16_t, D> half;
  const hn::RebindToUnsigned<D> whole;
  const auto bits = hn::BitCast(whole, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(whole, 1));
  const auto nearest = hn::Add(bits, hn::Add(odd, hn::Set(whole, 0x7fff)));
  const auto quiet = hn::Or(bits, hn::Set(whole, 0x400000));
  const auto rounded = hn::IfThenElse(hn::RebindMask(whole, hn::IsNaN(value)), quiet, nearest);
  hn::StoreU(hn::TruncateTo(half, hn::ShiftRight<16>(rounded)), half, &to->bits);
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
