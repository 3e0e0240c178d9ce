// Dropout. The mask belongs to logical indices, so that every backend draws the same one; it is kept in the
// memory order of x, so that applying it is one pass.
#include <algorithm>

#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/elementwise_loops.h"
#include "engine/backend/cpu/in_floats.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

class DropoutOperation final : public Operation {
 public:
  DropoutOperation(Device& device, const Dropout& layer, Bound x, RandomStream random,
                   const StepCounter& counter)
      : p_(layer.p),
        scale_(static_cast<float>(1.0 / (1.0 - layer.p))),
        random_(random),
        counter_(counter),
        x_(std::move(x)),
        y_("Dropout: output", output_ = make_variable(device, output_shape(layer, x_.shape()),
                                                      x_.value->layout(), x_.grad != nullptr)),
        mask_(device, x_.shape(), x_.value->layout()),
        drawn_(Relaid::output(device, mask_.memory(), plain_layout(x_.shape()))) {}

  void forward(Phase phase) override {
    if (phase == Phase::evaluation) {
      std::ranges::copy(x_.value->floats(), y_.value->floats().begin());
      return;
    }
    draw();
    combine_all(multiply, x_.value->floats(), mask_.floats(), y_.value->floats());
  }

  void backward() override {
    if (x_.grad) combine_all(multiply, y_.grad->floats(), mask_.floats(), x_.grad->floats());
  }

 private:
  /// The mask of the counter's step, row-major: 0 or 1 / (1 - p).
  void draw() {
    auto* mask = static_cast<float*>(drawn_.memory().get_data_handle());
    const std::int64_t count = x_.shape().count();
    const auto step = static_cast<std::uint32_t>(counter_.read());
#pragma omp parallel for schedule(static) if (count >= kParallelFrom)
    for (std::int64_t i = 0; i < count; ++i) {
      const double draw = uniform_at(random_, step, static_cast<std::uint64_t>(i));
      mask[i] = draw >= p_ ? scale_ : 0.0f;
    }
    drawn_.copy();
  }

  double p_;
  float scale_;
  RandomStream random_;
  const StepCounter& counter_;
  Bound x_, y_;
  CpuTensor mask_;
  Relaid drawn_;  // mask_, row-major
};

}  // namespace

OperationPtr CpuBackend::make_dropout(const Dropout& layer, const Variable& x, RandomStream random,
                                      const StepCounter& counter) {
  return in_floats(device_, "Dropout: input", x, [&](const Variable& floats) {
    return std::make_unique<DropoutOperation>(device_, layer, Bound("Dropout: input", floats), random,
                                              counter);
  });
}

}  // namespace convoy::cpu
