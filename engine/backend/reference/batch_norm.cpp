// Batch normalisation, alone or with the ReLU behind it. Per channel of M = N H W elements, of all processes
// of a group where they share statistics:
//   xhat = (x - mean) / sqrt(var + eps),  y = weight xhat + bias,
//   dx = weight / sqrt(var + eps) (dy - mean(dy) - xhat mean(dy xhat)).
#include <cmath>
#include <vector>

#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/model/layer_rules.h"

namespace convoy::reference {
namespace {

template <typename T>
struct BoundBatchNorm {
  Bound<T> x, weight, bias;
  std::shared_ptr<RealTensor<T>> running_mean, running_var;
};

template <typename T>
class BatchNormOperation final : public Operation {
 public:
  BatchNormOperation(const BatchNorm2d& layer, bool fuse_relu, BoundBatchNorm<T> tensors, Communicator* group)
      : layer_(layer),
        group_(group),
        fuse_relu_(fuse_relu),
        t_(std::move(tensors)),
        count_(t_.x.shape().count() / layer.num_features),
        statistics_(static_cast<std::size_t>(layer.num_features)) {
    const bool with_grad = t_.x.wants_grad() || t_.weight.wants_grad() || t_.bias.wants_grad();
    if (with_grad) check_batch_statistics(t_.x.shape());
    output_ = make_variable<T>(t_.x.shape(), with_grad);
    y_ = Bound<T>("BatchNorm2d: output", output_);
  }

  void forward(Phase phase) override {
    if (phase == Phase::training) check_batch_statistics(t_.x.shape());
    const auto x = t_.x.value(), y = y_.value();
    for (std::int64_t c = 0; c < layer_.num_features; ++c) {
      statistics_[c] = phase == Phase::training ? batch_statistics(c) : running_statistics(c);
      const double weight = t_.weight.value()[c], bias = t_.bias.value()[c];
      for_each_in(c, [&](std::int64_t i) {
        const double value = weight * statistics_[c].normalise(x[i]) + bias;
        y[i] = static_cast<T>(fuse_relu_ && value <= 0.0 ? 0.0 : value);
      });
    }
  }

  void backward() override {
    if (!y_.wants_grad()) return;
    const auto x = t_.x.value(), y = y_.value(), dy = y_.grad();
    for (std::int64_t c = 0; c < layer_.num_features; ++c) {
      const Statistics& s = statistics_[c];
      const auto gradient = [&](std::int64_t i) { return fuse_relu_ && y[i] <= T{0} ? 0.0 : double{dy[i]}; };
      double sum = 0.0, sum_xhat = 0.0;
      for_each_in(c, [&](std::int64_t i) {
        sum += gradient(i);
        sum_xhat += gradient(i) * s.normalise(x[i]);
      });
      if (t_.weight.wants_grad()) t_.weight.grad()[c] = static_cast<T>(sum_xhat);
      if (t_.bias.wants_grad()) t_.bias.grad()[c] = static_cast<T>(sum);
      if (!t_.x.wants_grad()) continue;
      const double scale = t_.weight.value()[c] * s.inverse_std, m = total(static_cast<double>(count_));
      sum = total(sum);  // of the parameters' gradients each process has its part
      sum_xhat = total(sum_xhat);
      for_each_in(c, [&](std::int64_t i) {
        t_.x.grad()[i] = static_cast<T>(scale * (gradient(i) - sum / m - s.normalise(x[i]) * sum_xhat / m));
      });
    }
  }

 private:
  struct Statistics {
    double mean = 0.0;
    double inverse_std = 0.0;
    double normalise(double x) const { return (x - mean) * inverse_std; }
  };

  /// Calls visit(index) for the elements of channel `c`.
  template <typename Visit>
  void for_each_in(std::int64_t c, Visit visit) const {
    const Shape& shape = t_.x.shape();
    const std::int64_t plane = shape[2] * shape[3];
    for (std::int64_t n = 0; n < shape[0]; ++n) {
      for (std::int64_t p = 0; p < plane; ++p) visit((n * shape[1] + c) * plane + p);
    }
  }

  /// The batch's own mean and biased variance; moves the running ones, the variance by the unbiased one.
  Statistics batch_statistics(std::int64_t c) {
    const auto x = t_.x.value();
    const double m = total(static_cast<double>(count_));
    double sum = 0.0, squares = 0.0;
    for_each_in(c, [&](std::int64_t i) { sum += x[i]; });
    const double mean = total(sum) / m;
    for_each_in(c, [&](std::int64_t i) { squares += (x[i] - mean) * (x[i] - mean); });
    squares = total(squares);
    follow(t_.running_mean->values()[c], mean);
    follow(t_.running_var->values()[c], squares / (m - 1.0));
    return {mean, 1.0 / std::sqrt(squares / m + layer_.eps)};
  }

  /// Over all processes that share statistics.
  double total(double ours) const { return group_ ? sum_of(*group_, ours) : ours; }

  void follow(T& running, double batch) const {
    running = static_cast<T>((1.0 - layer_.momentum) * running + layer_.momentum * batch);
  }

  Statistics running_statistics(std::int64_t c) const {
    return {t_.running_mean->values()[c], 1.0 / std::sqrt(t_.running_var->values()[c] + layer_.eps)};
  }

  BatchNorm2d layer_;
  Communicator* group_;  // null for this process alone
  bool fuse_relu_;
  BoundBatchNorm<T> t_;
  Bound<T> y_;
  std::int64_t count_;                  // elements of a channel
  std::vector<Statistics> statistics_;  // that forward normalised by
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                                                  const BatchNormTensors& tensors) {
  BoundBatchNorm<T> bound{.x = {"BatchNorm2d: input", x},
                          .weight = {"BatchNorm2d: weight", tensors.weight},
                          .bias = {"BatchNorm2d: bias", tensors.bias},
                          .running_mean = as_real<T>("BatchNorm2d: running_mean", tensors.running_mean),
                          .running_var = as_real<T>("BatchNorm2d: running_var", tensors.running_var)};
  output_shape(layer, bound.x.shape());  // refuses what does not fit
  const Shape channels{layer.num_features};
  require_shape("BatchNorm2d: weight", bound.weight.shape(), channels);
  require_shape("BatchNorm2d: bias", bound.bias.shape(), channels);
  require_shape("BatchNorm2d: running_mean", bound.running_mean->shape(), channels);
  require_shape("BatchNorm2d: running_var", bound.running_var->shape(), channels);
  return std::make_unique<BatchNormOperation<T>>(layer, fuse_relu, std::move(bound), statistics_group());
}

template OperationPtr ReferenceBackend<float>::make_batch_norm(const BatchNorm2d&, bool, const Variable&,
                                                               const BatchNormTensors&);
template OperationPtr ReferenceBackend<double>::make_batch_norm(const BatchNorm2d&, bool, const Variable&,
                                                                const BatchNormTensors&);

}  // namespace convoy::reference
