#include "convoy/fold.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>

namespace convoy {
namespace {

using Values = std::vector<double>;
using Tensors = std::map<std::string, HostTensor>;

bool all_finite_floats(const Values& values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(static_cast<float>(value)); });
}

/// The factor gamma / sqrt(variance + eps) of each channel. Empty if a variance is negative or NaN.
std::optional<Values> scales_of(const BatchNorm2d& norm, const Values& gamma, const Values& variance) {
  Values scales;
  for (std::size_t c = 0; c < gamma.size(); ++c) {
    if (!(variance[c] >= 0.0)) return std::nullopt;
    scales.push_back(gamma[c] / std::sqrt(variance[c] + norm.eps));
  }
  return scales;
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
    const auto scales = scales_of(norm, values(norm_name + ".weight"), values(norm_name + ".running_var"));
    if (!scales) return false;
    HostTensor weight = tensors_.at(conv_name + ".weight");
    HostTensor bias{{conv.out_channels}, values(norm_name + ".bias")};
    const Values& mean = values(norm_name + ".running_mean");
    const std::size_t taps = weight.values.size() / scales->size();
    for (std::size_t i = 0; i < weight.values.size(); ++i) weight.values[i] *= (*scales)[i / taps];
    for (std::size_t c = 0; c < scales->size(); ++c) {
      const double offset = conv.bias ? values(conv_name + ".bias")[c] : 0.0;
      bias.values[c] += (offset - mean[c]) * (*scales)[c];
    }
    if (!all_finite_floats(weight.values) || !all_finite_floats(bias.values)) return false;
    tensors_.insert_or_assign(conv_name + ".weight", std::move(weight));
    tensors_.insert_or_assign(conv_name + ".bias", std::move(bias));
    conv.bias = true;
    return true;
  }

  Tensors tensors_;
};

}  // namespace

FoldedModel fold_batch_norm(const Model& model, const StateDict& state) {
  check_state(model, state, "the state");
  Folding folding(state);
  FoldedModel folded{model, {}};
  folded.model.layers = folding.sequence(model.layers, "");
  folded.state = folding.state_of(folded.model);
  return folded;
}

}  // namespace convoy
