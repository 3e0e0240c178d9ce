// Linear: y [N, O] = x [N, I] w^T [I, O] + b.
#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/model/layer_rules.h"

namespace convoy::reference {
namespace {

template <typename T>
class LinearOperation final : public Operation {
 public:
  LinearOperation(const Linear& layer, Bound<T> x, Bound<T> weight, Bound<T> bias)
      : batch_(x.shape()[0]),
        in_(layer.in_features),
        out_(layer.out_features),
        x_(std::move(x)),
        weight_(std::move(weight)),
        bias_(std::move(bias)) {
    const bool with_grad = x_.wants_grad() || weight_.wants_grad() || bias_.wants_grad();
    output_ = make_variable<T>(output_shape(layer, x_.shape()), with_grad);
    y_ = Bound<T>("Linear: output", output_);
  }

  void forward(Phase) override {
    const auto x = x_.value(), weight = weight_.value(), y = y_.value();
    for (std::int64_t n = 0; n < batch_; ++n) {
      for (std::int64_t o = 0; o < out_; ++o) {
        double sum = bias_.present() ? static_cast<double>(bias_.value()[o]) : 0.0;
        for (std::int64_t i = 0; i < in_; ++i)
          sum += static_cast<double>(x[n * in_ + i]) * weight[o * in_ + i];
        y[n * out_ + o] = static_cast<T>(sum);
      }
    }
  }

  void backward() override {
    if (x_.wants_grad()) input_gradient(x_.grad());
    if (weight_.wants_grad()) weight_gradient(weight_.grad());
    if (bias_.wants_grad()) bias_gradient(bias_.grad());
  }

 private:
  void input_gradient(std::span<T> dx) const {  // dx = dy w
    const auto dy = y_.grad(), weight = weight_.value();
    for (std::int64_t n = 0; n < batch_; ++n) {
      for (std::int64_t i = 0; i < in_; ++i) {
        double sum = 0.0;
        for (std::int64_t o = 0; o < out_; ++o)
          sum += static_cast<double>(dy[n * out_ + o]) * weight[o * in_ + i];
        dx[n * in_ + i] = static_cast<T>(sum);
      }
    }
  }

  void weight_gradient(std::span<T> dw) const {  // dw = dy^T x
    const auto dy = y_.grad(), x = x_.value();
    for (std::int64_t o = 0; o < out_; ++o) {
      for (std::int64_t i = 0; i < in_; ++i) {
        double sum = 0.0;
        for (std::int64_t n = 0; n < batch_; ++n)
          sum += static_cast<double>(dy[n * out_ + o]) * x[n * in_ + i];
        dw[o * in_ + i] = static_cast<T>(sum);
      }
    }
  }

  void bias_gradient(std::span<T> db) const {
    const auto dy = y_.grad();
    for (std::int64_t o = 0; o < out_; ++o) {
      double sum = 0.0;
      for (std::int64_t n = 0; n < batch_; ++n) sum += dy[n * out_ + o];
      db[o] = static_cast<T>(sum);
    }
  }

  std::int64_t batch_, in_, out_;
  Bound<T> x_, weight_, bias_, y_;
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                                              const Variable& bias) {
  Bound<T> bound_x("Linear: input", x), bound_weight("Linear: weight", weight), bound_bias;
  output_shape(layer, bound_x.shape());  // refuses what does not fit
  require_shape("Linear: weight", bound_weight.shape(), weight_shape(layer));
  require_bias("Linear", layer.bias, bias, layer.out_features);
  if (layer.bias) bound_bias = Bound<T>("Linear: bias", bias);
  return std::make_unique<LinearOperation<T>>(layer, std::move(bound_x), std::move(bound_weight),
                                              std::move(bound_bias));
}

template OperationPtr ReferenceBackend<float>::make_linear(const Linear&, const Variable&, const Variable&,
                                                           const Variable&);
template OperationPtr ReferenceBackend<double>::make_linear(const Linear&, const Variable&, const Variable&,
                                                            const Variable&);

}  // namespace convoy::reference
