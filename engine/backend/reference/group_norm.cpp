// Group normalisation. Per image and group of M = C / G H W elements, in training and evaluation alike:
//   xhat = (x - mean) / sqrt(var + eps),  y = weight xhat + bias,
//   dx = (g - mean(g) - xhat mean(g xhat)) / sqrt(var + eps)  with g = weight dy.
#include <cmath>
#include <vector>

#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/model/layer_rules.h"

namespace convoy::reference {
namespace {

template <typename T>
class GroupNormOperation final : public Operation {
 public:
  GroupNormOperation(const GroupNorm& layer, Bound<T> x, Bound<T> weight, Bound<T> bias)
      : layer_(layer),
        x_(std::move(x)),
        weight_(std::move(weight)),
        bias_(std::move(bias)),
        plane_(x_.shape()[2] * x_.shape()[3]),
        group_channels_(layer.num_channels / layer.num_groups),
        statistics_(static_cast<std::size_t>(x_.shape()[0] * layer.num_groups)) {
    output_ = make_variable<T>(x_.shape(), x_.wants_grad() || weight_.wants_grad() || bias_.wants_grad());
    y_ = Bound<T>("GroupNorm: output", output_);
  }

  void forward(Phase) override {
    const auto x = x_.value(), y = y_.value();
    for (std::size_t group = 0; group < statistics_.size(); ++group) {
      statistics_[group] = measure(group);
      for_each_in(group, [&](std::size_t c, std::size_t i) {
        const double bias = layer_.affine ? bias_.value()[c] : 0.0;
        y[i] = static_cast<T>(weight(c) * statistics_[group].normalise(x[i]) + bias);
      });
    }
  }

  void backward() override {
    if (!y_.wants_grad()) return;
    const auto channels = static_cast<std::size_t>(layer_.num_channels);
    std::vector<double> dweight(channels), dbias(channels);
    for (std::size_t group = 0; group < statistics_.size(); ++group) {
      for_each_in(group, [&](std::size_t c, std::size_t i) {
        dweight[c] += y_.grad()[i] * statistics_[group].normalise(x_.value()[i]);
        dbias[c] += y_.grad()[i];
      });
      if (x_.wants_grad()) input_gradient(group);
    }
    if (weight_.wants_grad()) store<T>(dweight, weight_.grad());
    if (bias_.wants_grad()) store<T>(dbias, bias_.grad());
  }

 private:
  struct Statistics {
    double mean = 0.0;
    double inverse_std = 0.0;
    double normalise(double x) const { return (x - mean) * inverse_std; }
  };

  double weight(std::size_t c) const { return layer_.affine ? double{weight_.value()[c]} : 1.0; }

  double count() const { return static_cast<double>(group_channels_ * plane_); }

  /// Calls visit(channel, index) for the elements of a group; the groups of all images are counted through.
  template <typename Visit>
  void for_each_in(std::size_t group, Visit visit) const {
    const std::int64_t first = static_cast<std::int64_t>(group) * group_channels_;  // counted through, too
    for (std::int64_t c = first; c < first + group_channels_; ++c) {
      for (std::int64_t p = 0; p < plane_; ++p) {
        visit(static_cast<std::size_t>(c % layer_.num_channels), static_cast<std::size_t>(c * plane_ + p));
      }
    }
  }

  Statistics measure(std::size_t group) const {
    const auto x = x_.value();
    double sum = 0.0, squares = 0.0;
    for_each_in(group, [&](std::size_t, std::size_t i) { sum += x[i]; });
    const double mean = sum / count();
    for_each_in(group, [&](std::size_t, std::size_t i) { squares += (x[i] - mean) * (x[i] - mean); });
    return {mean, 1.0 / std::sqrt(squares / count() + layer_.eps)};
  }

  void input_gradient(std::size_t group) const {
    const auto x = x_.value(), dx = x_.grad();
    const Statistics& s = statistics_[group];
    const auto gradient = [&](std::size_t c, std::size_t i) { return weight(c) * y_.grad()[i]; };
    double sum = 0.0, sum_xhat = 0.0;
    for_each_in(group, [&](std::size_t c, std::size_t i) {
      sum += gradient(c, i);
      sum_xhat += gradient(c, i) * s.normalise(x[i]);
    });
    for_each_in(group, [&](std::size_t c, std::size_t i) {
      const double centred = gradient(c, i) - sum / count() - s.normalise(x[i]) * sum_xhat / count();
      dx[i] = static_cast<T>(s.inverse_std * centred);
    });
  }

  GroupNorm layer_;
  Bound<T> x_, weight_, bias_, y_;
  std::int64_t plane_;                  // elements of a channel of an image
  std::int64_t group_channels_;         // channels of a group
  std::vector<Statistics> statistics_;  // [N, groups], that forward normalised by
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_group_norm(const GroupNorm& layer, const Variable& x,
                                                  const Variable& weight, const Variable& bias) {
  Bound<T> bound_x("GroupNorm: input", x), bound_weight, bound_bias;
  output_shape(layer, bound_x.shape());  // refuses what does not fit
  require_affine("GroupNorm", layer.affine, weight, bias, layer.num_channels);
  if (layer.affine) {
    bound_weight = Bound<T>("GroupNorm: weight", weight);
    bound_bias = Bound<T>("GroupNorm: bias", bias);
  }
  return std::make_unique<GroupNormOperation<T>>(layer, std::move(bound_x), std::move(bound_weight),
                                                 std::move(bound_bias));
}

template OperationPtr ReferenceBackend<float>::make_group_norm(const GroupNorm&, const Variable&,
                                                               const Variable&, const Variable&);
template OperationPtr ReferenceBackend<double>::make_group_norm(const GroupNorm&, const Variable&,
                                                                const Variable&, const Variable&);

}  // namespace convoy::reference
