#include "convoy/fold.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "engine/model/fold_norm.h"

namespace convoy {
namespace {

using Values = std::vector<double>;
using Tensors = std::map<std::string, HostTensor>;

bool all_finite_floats(const Values& values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(static_cast<float>(value)); });
}

class Folding {
 public:
  explicit Folding(const StateDict& state) : tensors_(state.begin(), state.end()) {}

  std::vector<NamedLayer> sequence(const std::vector<NamedLayer>& layers, const std::string& prefix) {
    std::vector<NamedLayer> folded;
    for (const NamedLayer& named : layers) {
      const std::string name = prefix + named.name;
      auto* conv = folded.empty() ? nullptr : std::get_if<Conv2d>(&folded.back().layer);
      const auto* norm = std::get_if<BatchNorm2d>(&named.layer);
      if (conv && norm && fold(*conv, prefix + folded.back().name, *norm, name)) continue;
      folded.push_back(named);
      if (auto* residual = std::get_if<Residual>(&folded.back().layer)) {
        residual->body = sequence(residual->body, name + ".");
        residual->shortcut = sequence(residual->shortcut, name + ".");
      }
    }
    return folded;
  }

  StateDict state_of(const Model& folded) const {
    StateDict state;
    for (const TensorSpec& spec : tensor_specs(folded)) state.emplace_back(spec.name, tensors_.at(spec.name));
    return state;
  }

 private:
  const Values& values(const std::string& name) const { return tensors_.at(name).values; }

  /// Folds the batch norm into the convolution in front of it. Changes nothing and returns false if a weight
  /// or bias would not be a finite float.
  bool fold(Conv2d& conv, const std::string& conv_name, const BatchNorm2d& norm,
            const std::string& norm_name) {
    HostTensor weight = tensors_.at(conv_name + ".weight");
    HostTensor bias =
        conv.bias ? tensors_.at(conv_name + ".bias") : zeros({conv.out_channels}, DType::float32);
    const NormValues with{values(norm_name + ".weight"), values(norm_name + ".bias"),
                          values(norm_name + ".running_mean"), values(norm_name + ".running_var"), norm.eps};
    if (!fold_norm(with, weight, bias)) return false;
    tensors_.insert_or_assign(conv_name + ".weight", std::move(weight));
    tensors_.insert_or_assign(conv_name + ".bias", std::move(bias));
    conv.bias = true;
    return true;
  }

  Tensors tensors_;
};

}  // namespace

bool fold_norm(const NormValues& norm, HostTensor& weight, HostTensor& bias) {
  const std::size_t channels = norm.gamma.size(), taps = weight.values.size() / channels;
  Values weights = weight.values, offsets = norm.beta;
  for (std::size_t c = 0; c < channels; ++c) {
    if (!(norm.variance[c] >= 0.0)) return false;
    const double scale = norm.gamma[c] / std::sqrt(norm.variance[c] + norm.eps);
    for (std::size_t i = c * taps; i < (c + 1) * taps; ++i) weights[i] *= scale;
    offsets[c] += (bias.values[c] - norm.mean[c]) * scale;
  }
  if (!all_finite_floats(weights) || !all_finite_floats(offsets)) return false;
  weight.values = std::move(weights);
  bias.values = std::move(offsets);
  return true;
}

FoldedModel fold_batch_norm(const Model& model, const StateDict& state) {
  check_state(model, state, "the state");
  Folding folding(state);
  FoldedModel folded{model, {}};
  folded.model.layers = folding.sequence(model.layers, "");
  folded.state = folding.state_of(folded.model);
  return folded;
}

}  // namespace convoy
