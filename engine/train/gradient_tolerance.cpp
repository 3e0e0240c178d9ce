#include "engine/train/gradient_tolerance.h"

#include <algorithm>
#include <cmath>
#include <variant>

namespace convoy {
namespace {

// Of the fp32 in which every backend sums at least.
constexpr double kSumEpsilon = 0x1p-23;

// The layer's part of a parameter's name.
std::string layer_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

// The longest sum that a number of the model passes through, how many layers round it on the way and back,
// and whether a ReLU or a max pool chooses by rounded numbers which way a gradient goes.
struct Depth {
  std::int64_t longest_sum = 1;
  std::int64_t layers = 0;
  bool chooses = false;
};

Depth depth_of(const Model& model, std::int64_t batch) {
  Depth depth;
  for (const LayerInfo& info : infer(model, batch)) {
    const bool chooses =
        std::holds_alternative<ReLU>(*info.layer) || std::holds_alternative<MaxPool2d>(*info.layer);
    depth.chooses = depth.chooses || (chooses && depth.layers > 0);
    ++depth.layers;
    const Shape& x = info.input;
    const Shape& y = info.output;
    const std::int64_t pixels =
        y.rank() == 4 ? y[0] * y[2] * y[3] : y[0];  // a weight's gradient, a statistic
    std::int64_t terms = pixels;
    if (const auto* conv = std::get_if<Conv2d>(info.layer)) {
      const std::int64_t taps = conv->kernel_size[0] * conv->kernel_size[1];
      const std::int64_t channels = std::max(conv->in_channels, conv->out_channels) / conv->groups;
      terms = std::max(terms, taps * channels);
    } else if (std::holds_alternative<Linear>(*info.layer)) {
      terms = std::max({terms, x[1], y[1]});
    } else if (const auto* norm = std::get_if<GroupNorm>(info.layer)) {
      terms = std::max(terms, x.count() / x[0] / norm->num_groups);
    }
    depth.longest_sum = std::max(depth.longest_sum, terms);
  }
  return depth;
}

}  // namespace

double largest(const std::vector<double>& values) {
  double result = 0.0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

double gradient_scale(const StateDict& gradients, const std::string& name) {
  double scale = 0.0;
  for (const auto& [other, gradient] : gradients) {
    if (layer_of(other) == layer_of(name)) scale = std::max(scale, largest(gradient.values));
  }
  return scale;
}

// A sum of L terms rounds like sqrt(L) eps of its largest partial sums, where eps is fp32's also if its terms
// are coarser; those are rounded before, each by itself, so that the sum is off as little as they are. Each
// layer adds its own, forward and back, and 4 standard deviations of such a walk are practically never left.
// A choice that rounding turns sends a gradient elsewhere: in coarse formats that happens to a few among the
// thousands of numbers here, and only a gradient that is off by half of the largest is wrong for certain.
double gradient_tolerance(const Model& model, std::int64_t batch, double epsilon) {
  const Depth depth = depth_of(model, batch);
  const double sums = std::min(epsilon, kSumEpsilon);
  const double layer = 4 * (sums * std::sqrt(static_cast<double>(depth.longest_sum)) + (epsilon - sums));
  const bool turned = depth.chooses && epsilon > kSumEpsilon;
  return turned ? 0.5 : layer * static_cast<double>(2 * depth.layers);
}

}  // namespace convoy
