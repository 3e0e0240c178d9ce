#include "engine/backend/cpu/linear_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/linear_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <type_traits>

#include "engine/backend/cpu/storage-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

// What is summed at once, in registers: enough sums that none waits for itself, and with their operands they
// fit in the 16 registers of AVX2.
constexpr int kImages = 4;   // forward, by two outputs; and dx
constexpr int kOutputs = 5;  // of dw, by two vectors of inputs

using Wide = hn::ScalableTag<float>;
using One = hn::CappedTag<float, 1>;

/// Calls `body(std::integral_constant<int, count>(), begin)` for 0 .. count, as many at once as possible.
template <int kMost, class Body>
HWY_INLINE void in_groups(std::int64_t count, Body body) {
  std::int64_t i = 0;
  for (; i + kMost <= count; i += kMost) body(std::integral_constant<int, kMost>(), i);
  for (; i < count; ++i) body(std::integral_constant<int, 1>(), i);
}

/// From `begin` on, as far as whole vectors go; moves `begin` there.
template <int kRows, int kColumns, class D, typename T>
HWY_INLINE void add_products(D d, const LinearForward<T>& p, std::int64_t image, std::int64_t output,
                             std::int64_t& begin, float (&totals)[kRows][kColumns]) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<D> sums[kRows][kColumns];
  for (auto& row : sums) {
    for (auto& sum : row) sum = hn::Zero(d);
  }
  for (; begin + lanes <= p.inputs; begin += lanes) {
    hn::Vec<D> x[kRows];
    for (int i = 0; i < kRows; ++i) x[i] = load(d, p.x + (image + i) * p.inputs + begin);
    for (int j = 0; j < kColumns; ++j) {
      const auto w = load(d, p.w + (output + j) * p.inputs + begin);
      for (int i = 0; i < kRows; ++i) sums[i][j] = hn::MulAdd(x[i], w, sums[i][j]);
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kColumns; ++j) totals[i][j] += hn::GetLane(hn::SumOfLanes(d, sums[i][j]));
  }
}

template <typename T>
HWY_INLINE void multiply_by_weights_of(const LinearForward<T>& p) {
  in_groups<kImages>(p.images, [&](auto images, std::int64_t image) HWY_ATTR {
    in_groups<2>(p.outputs, [&](auto outputs, std::int64_t output) HWY_ATTR {
      constexpr int kRows = decltype(images)::value, kColumns = decltype(outputs)::value;
      float totals[kRows][kColumns] = {};
      std::int64_t input = 0;
      add_products(Wide(), p, image, output, input, totals);
      add_products(One(), p, image, output, input, totals);
      for (int i = 0; i < kRows; ++i) {
        for (int j = 0; j < kColumns; ++j) {
          const float bias = p.bias ? p.bias[output + j] : 0.0f;
          p.y[(image + i) * p.outputs + output + j] = totals[i][j] + bias;
        }
      }
    });
  });
}

template <typename T>
HWY_INLINE void differentiate_linear_of(const LinearInputGradient<T>& p) {
  in_groups<kImages>(p.images, [&](auto images, std::int64_t image) HWY_ATTR {
    constexpr int kRows = decltype(images)::value;
    const auto differentiate = [&](auto d, std::int64_t input) HWY_ATTR {
      hn::Vec<decltype(d)> sums[kRows];
      for (auto& sum : sums) sum = hn::Zero(d);
      for (std::int64_t o = 0; o < p.outputs; ++o) {
        const auto w = load(d, p.w + o * p.inputs + input);
        for (int i = 0; i < kRows; ++i) {
          sums[i] = hn::MulAdd(hn::Set(d, p.dy[(image + i) * p.outputs + o]), w, sums[i]);
        }
      }
      for (int i = 0; i < kRows; ++i) store(sums[i], d, p.dx + (image + i) * p.inputs + input);
    };
    const Wide d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t input = 0;
    for (; input + lanes <= p.inputs; input += lanes) differentiate(d, input);
    for (; input < p.inputs; ++input) differentiate(One(), input);
  });
}

/// Of the outputs from `output` on, and of so many vectors of inputs.
template <int kColumns, int kVectors, class D, typename T>
HWY_INLINE void multiply_block(D d, const LinearWeightGradient<T>& p, std::int64_t output,
                               std::int64_t input) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<D> sums[kColumns][kVectors];
  for (auto& row : sums) {
    for (auto& sum : row) sum = hn::Zero(d);
  }
  for (std::int64_t n = 0; n < p.images; ++n) {
    hn::Vec<D> x[kVectors];
    for (int v = 0; v < kVectors; ++v) x[v] = load(d, p.x + n * p.inputs + input + v * lanes);
    for (int j = 0; j < kColumns; ++j) {
      const auto dy = hn::Set(d, p.dy[n * p.outputs + output + j]);
      for (int v = 0; v < kVectors; ++v) sums[j][v] = hn::MulAdd(dy, x[v], sums[j][v]);
    }
  }
  for (int j = 0; j < kColumns; ++j) {
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[j][v], d, p.dw + (output + j) * p.inputs + input + v * lanes);
    }
  }
}

template <typename T>
HWY_INLINE void multiply_by_inputs_of(const LinearWeightGradient<T>& p) {
  in_groups<kOutputs>(p.outputs, [&](auto outputs, std::int64_t output) HWY_ATTR {
    constexpr int kColumns = decltype(outputs)::value;
    const Wide d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t input = p.begin;
    for (; input + 2 * lanes <= p.end; input += 2 * lanes) {
      multiply_block<kColumns, 2>(d, p, output, input);
    }
    for (; input < p.end; ++input) multiply_block<kColumns, 1>(One(), p, output, input);
  });
}

void multiply_by_weights_f32(const LinearForward<float>& p) { multiply_by_weights_of(p); }
void multiply_by_weights_bf16(const LinearForward<Bfloat16>& p) { multiply_by_weights_of(p); }
void differentiate_linear_f32(const LinearInputGradient<float>& p) { differentiate_linear_of(p); }
void differentiate_linear_bf16(const LinearInputGradient<Bfloat16>& p) { differentiate_linear_of(p); }
void multiply_by_inputs_f32(const LinearWeightGradient<float>& p) { multiply_by_inputs_of(p); }
void multiply_by_inputs_bf16(const LinearWeightGradient<Bfloat16>& p) { multiply_by_inputs_of(p); }

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(multiply_by_weights_f32);
HWY_EXPORT(multiply_by_weights_bf16);
HWY_EXPORT(differentiate_linear_f32);
HWY_EXPORT(differentiate_linear_bf16);
HWY_EXPORT(multiply_by_inputs_f32);
HWY_EXPORT(multiply_by_inputs_bf16);

void multiply_by_weights(const LinearForward<float>& part) {
  HWY_DYNAMIC_DISPATCH(multiply_by_weights_f32)(part);
}
void multiply_by_weights(const LinearForward<Bfloat16>& part) {
  HWY_DYNAMIC_DISPATCH(multiply_by_weights_bf16)(part);
}
void differentiate_linear(const LinearInputGradient<float>& part) {
  HWY_DYNAMIC_DISPATCH(differentiate_linear_f32)(part);
}
void differentiate_linear(const LinearInputGradient<Bfloat16>& part) {
  HWY_DYNAMIC_DISPATCH(differentiate_linear_bf16)(part);
}
void multiply_by_inputs(const LinearWeightGradient<float>& part) {
  HWY_DYNAMIC_DISPATCH(multiply_by_inputs_f32)(part);
}
void multiply_by_inputs(const LinearWeightGradient<Bfloat16>& part) {
  HWY_DYNAMIC_DISPATCH(multiply_by_inputs_bf16)(part);
}

}  // namespace convoy::cpu
#endif
