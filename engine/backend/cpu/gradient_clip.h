// Gradient clipping by norm.
#pragma once

#include <memory>
#include <vector>

#include "engine/backend/cpu/tensor.h"
#include "engine/backend/step_state.h"

namespace convoy::cpu {

class CpuGradientClip final : public GradientClip {
 public:
  CpuGradientClip(const CpuParameters& arena, TensorPtr result, float max_norm);
  void measure() override;

 private:
  const CpuParameters& arena_;
  const float max_norm_;
  std::vector<double> partials_;  // one a part of the arena, so that any number of threads gives the same sum
};

/// By what an optimizer multiplies gradients: 1 without a clip. Throws UsageError if another backend made it.
float gradient_factor(const GradientClip* clip);

}  // namespace convoy::cpu
