// Dropout: each element is dropped or scaled by the draw of its row-major index.
#include <vector>

#include "engine/backend/reference/reference_backend.h"
#include "engine/model/layer_rules.h"

namespace convoy::reference {
namespace {

template <typename T>
class DropoutOperation final : public Operation {
 public:
  DropoutOperation(const Dropout& layer, Bound<T> x, RandomStream random, const StepCounter& counter)
      : p_(layer.p), x_(std::move(x)), random_(random), counter_(counter) {
    output_ = make_variable<T>(output_shape(layer, x_.shape()), x_.wants_grad());
    y_ = Bound<T>("Dropout: output", output_);
    factor_.resize(x_.value().size());
  }

  void forward(Phase phase) override {
    const auto x = x_.value(), y = y_.value();
    const auto step = static_cast<std::uint32_t>(counter_.read());
    for (std::size_t i = 0; i < x.size(); ++i) {
      factor_[i] = phase == Phase::training ? factor(step, i) : 1.0;
      y[i] = static_cast<T>(x[i] * factor_[i]);
    }
  }

  void backward() override {
    if (!x_.wants_grad()) return;
    const auto dy = y_.grad(), dx = x_.grad();
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] = static_cast<T>(dy[i] * factor_[i]);
  }

 private:
  /// Kept iff the draw is not below p, both compared as double: a float p could round onto a draw.
  double factor(std::uint32_t step, std::uint64_t index) const {
    const double draw = uniform_at(random_, step, index);
    return draw >= p_ ? 1.0 / (1.0 - p_) : 0.0;
  }

  double p_;
  Bound<T> x_, y_;
  RandomStream random_;
  const StepCounter& counter_;
  std::vector<double> factor_;
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_dropout(const Dropout& layer, const Variable& x, RandomStream random,
                                               const StepCounter& counter) {
  return std::make_unique<DropoutOperation<T>>(layer, Bound<T>("Dropout: input", x), random, counter);
}

template OperationPtr ReferenceBackend<float>::make_dropout(const Dropout&, const Variable&, RandomStream,
                                                            const StepCounter&);
template OperationPtr ReferenceBackend<double>::make_dropout(const Dropout&, const Variable&, RandomStream,
                                                             const StepCounter&);

}  // namespace convoy::reference
