// Rows of numbers in the widest registers of the processor that the program runs on: no flag of the build
// decides which instructions. The width is a template parameter and is not left to the compiler, since GCC
// takes a comparison of vectors that are wider than a register apart into scalars.
#pragma once

#include <algorithm>
#include <cstdint>

// Registers are passed between inlined functions only. Not popped at the end of this header: GCC warns at the
// end of the file that includes it.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace convoy::cpu {

/// `kSize` numbers of four bytes, in registers of at most `kBytes`.
template <typename T, int kSize, int kBytes>
struct Wide {
  static_assert(sizeof(T) == 4);
  static constexpr int kPartBytes = std::min(kBytes, 4 * kSize);
  static constexpr int kParts = 4 * kSize / kPartBytes;
  typedef T Part __attribute__((vector_size(kPartBytes)));
  typedef T InMemory __attribute__((vector_size(kPartBytes), aligned(sizeof(T)), may_alias));
  using Mask = Wide<std::int32_t, kSize, kBytes>;  // of a comparison: all bits of a number, or none

  Part part[kParts];

  // Not std::memcpy: GCC copies by 16 bytes through the stack, and reading those at once waits for the cache.
  [[gnu::always_inline]] static Wide load(const T* from) {
    return each([&](int i)
                    __attribute__((always_inline)) { return reinterpret_cast<const InMemory*>(from)[i]; });
  }

  [[gnu::always_inline]] static Wide all(T number) {
    return each([&](int) __attribute__((always_inline)) { return Part{} + number; });
  }

  [[gnu::always_inline]] void store(T* to) const {
    for (int i = 0; i < kParts; ++i) reinterpret_cast<InMemory*>(to)[i] = part[i];
  }

  /// Made of what `make` returns for the number of each register.
  template <typename Make>
  [[gnu::always_inline]] static Wide each(Make make) {
    Wide value;
    for (int i = 0; i < kParts; ++i) value.part[i] = make(i);
    return value;
  }

  [[gnu::always_inline]] friend Wide operator+(const Wide& a, const Wide& b) {
    return each([&](int i) __attribute__((always_inline)) { return a.part[i] + b.part[i]; });
  }
  [[gnu::always_inline]] friend Wide operator-(const Wide& a, const Wide& b) {
    return each([&](int i) __attribute__((always_inline)) { return a.part[i] - b.part[i]; });
  }
  [[gnu::always_inline]] friend Wide operator*(const Wide& a, const Wide& b) {
    return each([&](int i) __attribute__((always_inline)) { return a.part[i] * b.part[i]; });
  }
  [[gnu::always_inline]] friend Wide operator|(const Wide& a, const Wide& b) {
    return each([&](int i) __attribute__((always_inline)) { return a.part[i] | b.part[i]; });
  }
  [[gnu::always_inline]] friend Mask operator<=(const Wide& a, const Wide& b) {
    return Mask::each([&](int i) __attribute__((always_inline)) { return a.part[i] <= b.part[i]; });
  }
  [[gnu::always_inline]] friend Mask operator!=(const Wide& a, const Wide& b) {
    return Mask::each([&](int i) __attribute__((always_inline)) { return a.part[i] != b.part[i]; });
  }
  [[gnu::always_inline]] friend Mask operator==(const Wide& a, const Wide& b) {
    return Mask::each([&](int i) __attribute__((always_inline)) { return a.part[i] == b.part[i]; });
  }

  /// `a` where the mask is set, `b` elsewhere.
  [[gnu::always_inline]] static Wide choose(const Mask& mask, const Wide& a, const Wide& b) {
    return each([&](int i) __attribute__((always_inline)) { return mask.part[i] ? a.part[i] : b.part[i]; });
  }
};

#ifdef __x86_64__
template <typename Loop>
[[gnu::target("avx512f")]] void with_avx512(Loop loop) {
  loop.template operator()<64>();
}

template <typename Loop>
[[gnu::target("avx2")]] void with_avx2(Loop loop) {
  loop.template operator()<32>();
}
#endif

/// Calls `loop<kBytes>()`, a template that is always inlined, compiled for the processor's registers of
/// `bytes`, which it must have (registers.h).
template <typename Loop>
void vectorized([[maybe_unused]] int bytes, Loop loop) {
#ifdef __x86_64__
  if (bytes == 64) return with_avx512(loop);
  if (bytes == 32) return with_avx2(loop);
#endif
  loop.template operator()<16>();  // SSE2 or NEON
}

}  // namespace convoy::cpu
