#include "engine/backend/cpu/gradient_clip.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/optimizer_loops.h"
#include "kernels/clip_math.h"

namespace convoy::cpu {
namespace {

constexpr std::int64_t kPart = 4096;

}  // namespace

CpuGradientClip::CpuGradientClip(const CpuParameters& arena, TensorPtr result, float max_norm)
    : arena_(arena),
      max_norm_(max_norm),
      partials_(static_cast<std::size_t>((std::ssize(arena.gradients()) + kPart - 1) / kPart)) {
  result_ = std::move(result);
}

void CpuGradientClip::measure() {
  const std::span<const float> gradients = arena_.gradients();
  const std::int64_t parts = std::ssize(partials_);
#pragma omp parallel for schedule(static) if (std::ssize(gradients) >= kParallelFrom)
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t begin = part * kPart, end = std::min(std::ssize(gradients), begin + kPart);
    partials_[static_cast<std::size_t>(part)] = sum_of_squares(gradients.data() + begin, end - begin);
  }
  const double sum = std::accumulate(partials_.begin(), partials_.end(), 0.0);
  const ClippedNorm clipped = clipped_norm(std::sqrt(sum), max_norm_);
  const auto result = as_floats("gradient clipping", result_)->floats();
  result[0] = clipped.norm;
  result[1] = clipped.factor;
}

float gradient_factor(const GradientClip* clip) {
  return clip ? as_floats("gradient clipping", clip->result())->floats()[1] : 1.0f;
}

std::unique_ptr<GradientClip> CpuBackend::make_gradient_clip(ParameterArena& parameters, float max_norm) {
  check_clip_norm(max_norm);
  const auto& arena = own<CpuParameters>("gradient clipping: the parameters", parameters);
  if (arena.gradients().empty())
    throw UsageError("gradient clipping: the parameters were made without gradients");
  return std::make_unique<CpuGradientClip>(arena, make_tensor({2}, DType::float32), max_norm);
}

}  // namespace convoy::cpu
