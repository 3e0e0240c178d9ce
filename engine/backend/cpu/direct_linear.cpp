#include "engine/backend/cpu/direct_linear.h"

#include <algorithm>
#include <optional>

#include "engine/backend/cpu/channel_rows.h"
#include "engine/backend/cpu/linear_loops.h"

namespace convoy::cpu {
namespace {

constexpr std::int64_t kMaxOutputs = 16;
constexpr std::int64_t kImages = 4;   // that a thread takes at once, as the loops do
constexpr std::int64_t kInputs = 32;  // the same, whole cache lines

/// The layout in which an output's weights lie like an image of x; nothing if x's is not one of those known.
std::optional<Layout> weight_layout(const WeightedLayer& layer) {
  const CpuTensor& x = *layer.x.value;
  const Dims dims = x.dims();
  if (x.layout() == plain_layout(dims, x.type())) return plain_layout(layer.weight_dims);
  if (dims.size() != 4) return std::nullopt;
  const auto rows = ChannelRows::of({dims[0], dims[1], dims[2], dims[3]}, x.layout());
  if (!rows) return std::nullopt;
  return rows->as_floats().for_shape({layer.weight_dims[0], dims[1], dims[2], dims[3]}).layout();
}

template <typename T>
class DirectLinear final : public Operation {
 public:
  DirectLinear(Device& device, WeightedLayer layer)
      : layer_(std::move(layer)),
        images_(layer_.output[0]),
        outputs_(layer_.output[1]),
        inputs_(std::ssize(layer_.x.value->values<T>()) / images_),
        weights_(Relaid::input(device, layer_.weight.value->viewed_as(device, layer_.weight_dims),
                               *weight_layout(layer_))) {
    const bool with_grad = layer_.x.grad || layer_.weight.grad || layer_.bias.grad;
    output_ = make_variable(device, layer_.output,
                            plain_layout(dims_of(layer_.output), layer_.x.value->type()), with_grad);
    y_ = Bound("Linear: output", output_);
    to_y_.emplace(Relaid::output(device, y_.value->memory(), plain_layout(layer_.output)));
    if (y_.grad) dy_.emplace(Relaid::input(device, y_.grad->memory(), plain_layout(layer_.output)));
    if (!layer_.weight.grad) return;
    to_weight_grad_.emplace(Relaid::output(device, layer_.weight.grad->viewed_as(device, layer_.weight_dims),
                                           *weight_layout(layer_)));
  }

  void forward(Phase) override {
    weights_.copy();
    const float* const bias = layer_.bias.value ? layer_.bias.value->floats().data() : nullptr;
#pragma omp parallel for schedule(static)
    for (std::int64_t n = 0; n < images_; n += kImages) {
      multiply_by_weights({.x = x() + n * inputs_,
                           .w = floats(weights_),
                           .bias = bias,
                           .y = floats(*to_y_) + n * outputs_,
                           .images = std::min(kImages, images_ - n),
                           .inputs = inputs_,
                           .outputs = outputs_});
    }
    to_y_->copy();
  }

  /// With the weights that forward copied.
  void backward() override {
    if (!dy_) return;
    dy_->copy();
    if (layer_.bias.grad) sum_bias_gradient();
    if (layer_.weight.grad) multiply_inputs();
    if (layer_.x.grad) differentiate();
  }

 private:
  const T* x() const { return layer_.x.value->values<T>().data(); }
  static float* floats(const Relaid& relaid) {
    return static_cast<float*>(relaid.memory().get_data_handle());
  }

  void sum_bias_gradient() {
    for (std::int64_t o = 0; o < outputs_; ++o) {
      double sum = 0.0;
      for (std::int64_t n = 0; n < images_; ++n) sum += floats(*dy_)[n * outputs_ + o];
      layer_.bias.grad->floats()[static_cast<std::size_t>(o)] = static_cast<float>(sum);
    }
  }

  /// Each thread takes other inputs and all images, so that their number does not show in the bits.
  void multiply_inputs() {
#pragma omp parallel for schedule(static)
    for (std::int64_t begin = 0; begin < inputs_; begin += kInputs) {
      multiply_by_inputs({.dy = floats(*dy_),
                          .x = x(),
                          .dw = floats(*to_weight_grad_),
                          .images = images_,
                          .inputs = inputs_,
                          .outputs = outputs_,
                          .begin = begin,
                          .end = std::min(begin + kInputs, inputs_)});
    }
    to_weight_grad_->copy();
  }

  void differentiate() {
    T* const dx = layer_.x.grad->values<T>().data();
#pragma omp parallel for schedule(static)
    for (std::int64_t n = 0; n < images_; n += kImages) {
      differentiate_linear({.dy = floats(*dy_) + n * outputs_,
                            .w = floats(weights_),
                            .dx = dx + n * inputs_,
                            .images = std::min(kImages, images_ - n),
                            .inputs = inputs_,
                            .outputs = outputs_});
    }
  }

  WeightedLayer layer_;
  std::int64_t images_, outputs_;
  std::int64_t inputs_;  // with the padding of their layout
  Bound y_;
  Relaid weights_;                                    // in the order of x
  std::optional<Relaid> to_y_, dy_, to_weight_grad_;  // the last in the order of x, too
};

}  // namespace

bool suits_direct_linear(const WeightedLayer& layer) {
  return layer.output[1] <= kMaxOutputs && weight_layout(layer);
}

OperationPtr make_direct_linear(Device& device, WeightedLayer layer) {
  return by_type(*layer.x.value, [&]<typename T>() -> OperationPtr {
    return std::make_unique<DirectLinear<T>>(device, std::move(layer));
  });
}

}  // namespace convoy::cpu
