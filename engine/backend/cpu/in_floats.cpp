#include "engine/backend/cpu/in_floats.h"

#include <optional>
#include <vector>

#include "engine/backend/cpu/channel_rows.h"

namespace convoy::cpu {
namespace {

/// A tensor's layout for numbers of another type, as far as loops know it; else a plain one.
Layout retyped(const CpuTensor& tensor, DataType type) {
  auto rows = ChannelRows::of(tensor.shape(), tensor.layout());
  if (!rows) return plain_layout(tensor.dims(), type);
  rows->type = type;
  return rows->layout();
}

/// Fresh memory like that of the variable, of numbers of another type.
Variable like(const Device& device, const Bound& variable, DataType type) {
  return make_variable(device, variable.shape(), retyped(*variable.value, type), variable.grad != nullptr);
}

class InFloats final : public Operation {
 public:
  InFloats(Device& device, const Bound& x, const std::function<OperationPtr(const Variable&)>& make) {
    const Variable wide = like(device, x, DataType::f32);
    inner_ = make(wide);
    const Bound wide_x("input", wide), wide_y("output", inner_->output());
    output_ = like(device, wide_y, DataType::bf16);
    const Bound y("output", output_);
    before_forward_.push_back(copy_task(device, x.value->memory(), wide_x.value->memory()));
    after_forward_.push_back(copy_task(device, wide_y.value->memory(), y.value->memory()));
    if (y.grad) before_backward_.push_back(copy_task(device, y.grad->memory(), wide_y.grad->memory()));
    if (x.grad) after_backward_.push_back(copy_task(device, wide_x.grad->memory(), x.grad->memory()));
  }

  void forward(Phase phase) override {
    for (Task& copy : before_forward_) copy.run();
    inner_->forward(phase);
    for (Task& copy : after_forward_) copy.run();
  }

  void backward() override {
    for (Task& copy : before_backward_) copy.run();
    inner_->backward();
    for (Task& copy : after_backward_) copy.run();
  }

 private:
  OperationPtr inner_;
  std::vector<Task> before_forward_, after_forward_, before_backward_, after_backward_;
};

}  // namespace

OperationPtr in_floats(Device& device, const std::string& what, const Variable& x,
                       const std::function<OperationPtr(const Variable&)>& make) {
  const Bound bound(what, x);
  if (bound.value->type() == DataType::f32) return make(x);
  return std::make_unique<InFloats>(device, bound, make);
}

}  // namespace convoy::cpu
