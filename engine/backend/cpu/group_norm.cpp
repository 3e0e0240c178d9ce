// Group norm, by batch norm's passes over planes: here each image has statistics of its own, so images run in
// parallel. Own loops: oneDNN 2 has no group normalisation.
#include <algorithm>
#include <cmath>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/batch_norm_loops.h"
#include "engine/backend/cpu/channel_rows.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/in_floats.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

/// Two sums over each channel of each image, [N, padded channels].
struct ImageSums {
  explicit ImageSums(std::size_t count) : first(count), second(count) {}
  std::vector<double> first, second;
};

class GroupNormOperation final : public Operation {
 public:
  GroupNormOperation(Device& device, const GroupNorm& layer, Bound x, Bound weight, Bound bias)
      : layer_(layer),
        x_(std::move(x)),
        weight_(std::move(weight)),
        bias_(std::move(bias)),
        rows_(ChannelRows::of(*x_.value)),
        sums_(static_cast<std::size_t>(rows_.images * rows_.padded_channels())),
        input_(Relaid::input(device, x_.value->memory(), rows_.layout())) {
    output_ = make_variable(device, x_.shape(), rows_.layout(), x_.grad || weight_.grad || bias_.grad);
    y_ = Bound("GroupNorm: output", output_);
    if (x_.grad) input_gradient_.emplace(Relaid::output(device, x_.grad->memory(), rows_.layout()));
    for (auto* vector : {&mean_, &inverse_std_, &scale_, &shift_, &slope_, &constant_}) {
      vector->assign(sums_.first.size(), 0.0f);  // and so it stays for the channels of a padding
    }
  }

  void forward(Phase) override {
    input_.copy();
#pragma omp parallel for schedule(static)
    for (std::int64_t image = 0; image < rows_.images; ++image) {
      measure(image);
      normalize_image(image);
    }
  }

  void backward() override {
    if (!y_.grad) return;
#pragma omp parallel for schedule(static)
    for (std::int64_t image = 0; image < rows_.images; ++image) {
      sum_gradients(image);
      if (input_gradient_) differentiate_image(image);
    }
    if (weight_.grad || bias_.grad) parameter_gradients();
    if (input_gradient_) input_gradient_->copy();
  }

 private:
  const float* x() const { return static_cast<const float*>(input_.memory().get_data_handle()); }

  /// Where a channel of an image is in the vectors of this class.
  std::size_t place(std::int64_t image, std::int64_t channel) const {
    return static_cast<std::size_t>(image * rows_.padded_channels() + channel);
  }
  std::int64_t group_channels() const { return layer_.num_channels / layer_.num_groups; }
  /// Elements of a group.
  double count() const { return static_cast<double>(group_channels() * x_.shape()[2] * x_.shape()[3]); }
  double weight(std::int64_t channel) const {
    return layer_.affine ? weight_.value->floats()[static_cast<std::size_t>(channel)] : 1.0f;
  }

  /// Calls visit(first channel) for each group.
  template <typename Visit>
  void for_each_group(Visit visit) const {
    for (std::int64_t c = 0; c < rows_.channels; c += group_channels()) visit(c);
  }

  /// The mean over a group of what `of_channel` says of its channels' sums.
  template <typename OfChannel>
  double group_mean(std::int64_t first, OfChannel of_channel) const {
    double sum = 0.0;
    for (std::int64_t c = first; c < first + group_channels(); ++c) sum += of_channel(c);
    return sum / count();
  }

  /// Sums over the channels of an image: `add(plane, first, second)` fills two rows of sums of a plane. The
  /// vectors' rows of a plane are numbered as planes are.
  template <typename Add>
  void sum_image(std::int64_t image, Add add) {
    for (std::int64_t block = 0; block < rows_.blocks; ++block) {
      DoubleRow first{};
      DoubleRow second{};
      add(image * rows_.blocks + block, first, second);
      for (std::int64_t lane = 0; lane < rows_.lanes; ++lane) {
        const std::size_t to = place(image, block * rows_.lanes + lane);
        sums_.first[to] = sums_.second[to] = 0.0;
        for (auto i = static_cast<std::size_t>(lane); i < kRow; i += static_cast<std::size_t>(rows_.lanes)) {
          sums_.first[to] += first[i];
          sums_.second[to] += second[i];
        }
      }
    }
  }

  /// Sums of x - mean_ and of its square.
  void sum_deviations(std::int64_t image) {
    sum_image(image, [&](std::int64_t plane, DoubleRow& sum, DoubleRow& squares) {
      add_deviations({.x = x() + rows_.begin(plane),
                      .size = rows_.plane_size,
                      .row = rows_.row(),
                      .pivot = rows_.spread(mean_, plane),
                      .sum = sum,
                      .squares = squares});
    });
  }

  // Twice: from 0, then from the mean that this gives. The second sum of deviations is what rounding left of
  // the mean, and its square is all that is subtracted from the squares: nothing cancels.
  void measure(std::int64_t image) {
    for (std::int64_t c = 0; c < rows_.channels; ++c) mean_[place(image, c)] = 0.0f;
    sum_deviations(image);
    for_each_group([&](std::int64_t first) {
      const double mean = group_mean(first, [&](std::int64_t c) { return sums_.first[place(image, c)]; });
      for (std::int64_t c = first; c < first + group_channels(); ++c) {
        mean_[place(image, c)] = static_cast<float>(mean);
      }
    });
    sum_deviations(image);
    for_each_group([&](std::int64_t first) {
      const double offset = group_mean(first, [&](std::int64_t c) { return sums_.first[place(image, c)]; });
      const double squares = group_mean(first, [&](std::int64_t c) { return sums_.second[place(image, c)]; });
      const double inverse_std = 1.0 / std::sqrt(std::max(squares - offset * offset, 0.0) + layer_.eps);
      const double mean = mean_[place(image, first)] + offset;
      for (std::int64_t c = first; c < first + group_channels(); ++c) {
        const std::size_t i = place(image, c);
        mean_[i] = static_cast<float>(mean);
        inverse_std_[i] = static_cast<float>(inverse_std);
        scale_[i] = static_cast<float>(weight(c) * inverse_std);
        shift_[i] = layer_.affine ? bias_.value->floats()[static_cast<std::size_t>(c)] : 0.0f;
      }
    });
  }

  void normalize_image(std::int64_t image) {
    for (std::int64_t plane = image * rows_.blocks; plane < (image + 1) * rows_.blocks; ++plane) {
      const std::int64_t begin = rows_.begin(plane);
      normalize({.x = x() + begin,
                 .y = y_.value->floats().data() + begin,
                 .size = rows_.plane_size,
                 .row = rows_.row(),
                 .mean = rows_.spread(mean_, plane),
                 .scale = rows_.spread(scale_, plane),
                 .shift = rows_.spread(shift_, plane),
                 .relu = false});
    }
  }

  /// Sums of dy and of dy (x - mean).
  void sum_gradients(std::int64_t image) {
    sum_image(image, [&](std::int64_t plane, DoubleRow& sum, DoubleRow& products) {
      const std::int64_t begin = rows_.begin(plane);
      add_gradients({.x = x() + begin,
                     .dy = y_.grad->floats().data() + begin,
                     .size = rows_.plane_size,
                     .row = rows_.row(),
                     .mean = rows_.spread(mean_, plane),
                     .scale = rows_.spread(scale_, plane),
                     .shift = rows_.spread(shift_, plane),
                     .relu = false,
                     .sum = sum,
                     .products = products});
    });
  }

  // dx = (g - mean(g) - (x - mean) / std * mean(g (x - mean) / std)) / std, with g = weight dy
  void differentiate_image(std::int64_t image) {
    for_each_group([&](std::int64_t first) {
      const double inverse_std = inverse_std_[place(image, first)];
      const double mean =
          group_mean(first, [&](std::int64_t c) { return weight(c) * sums_.first[place(image, c)]; });
      const double product =
          group_mean(first, [&](std::int64_t c) { return weight(c) * sums_.second[place(image, c)]; });
      for (std::int64_t c = first; c < first + group_channels(); ++c) {
        constant_[place(image, c)] = static_cast<float>(-inverse_std * mean);
        slope_[place(image, c)] = static_cast<float>(-product * inverse_std * inverse_std * inverse_std);
      }
    });
    auto* dx = static_cast<float*>(input_gradient_->memory().get_data_handle());
    for (std::int64_t plane = image * rows_.blocks; plane < (image + 1) * rows_.blocks; ++plane) {
      const std::int64_t begin = rows_.begin(plane);
      differentiate({.x = x() + begin,
                     .dy = y_.grad->floats().data() + begin,
                     .dx = dx + begin,
                     .size = rows_.plane_size,
                     .row = rows_.row(),
                     .mean = rows_.spread(mean_, plane),
                     .scale = rows_.spread(scale_, plane),
                     .shift = rows_.spread(shift_, plane),
                     .slope = rows_.spread(slope_, plane),
                     .constant = rows_.spread(constant_, plane),
                     .relu = false});
    }
  }

  /// Sums over the images, in their order.
  void parameter_gradients() {
    for (std::int64_t c = 0; c < rows_.channels; ++c) {
      double dweight = 0.0;
      double dbias = 0.0;
      for (std::int64_t image = 0; image < rows_.images; ++image) {
        const std::size_t i = place(image, c);
        dweight += sums_.second[i] * inverse_std_[i];
        dbias += sums_.first[i];
      }
      if (weight_.grad) weight_.grad->floats()[static_cast<std::size_t>(c)] = static_cast<float>(dweight);
      if (bias_.grad) bias_.grad->floats()[static_cast<std::size_t>(c)] = static_cast<float>(dbias);
    }
  }

  GroupNorm layer_;
  Bound x_, weight_, bias_, y_;
  ChannelRows rows_;
  ImageSums sums_;
  Relaid input_;
  std::optional<Relaid> input_gradient_;
  // [N, padded channels], of the last forward or backward.
  std::vector<float> mean_, inverse_std_, scale_, shift_, slope_, constant_;
};

}  // namespace

OperationPtr CpuBackend::make_group_norm(const GroupNorm& layer, const Variable& x, const Variable& weight,
                                         const Variable& bias) {
  Bound bound_x("GroupNorm: input", x), bound_weight, bound_bias;
  output_shape(layer, bound_x.shape());  // refuses what does not fit
  require_affine("GroupNorm", layer.affine, weight, bias, layer.num_channels);
  if (layer.affine) {
    bound_weight = Bound("GroupNorm: weight", weight);
    bound_bias = Bound("GroupNorm: bias", bias);
  }
  return in_floats(device_, "GroupNorm: input", x, [&](const Variable& floats) {
    return std::make_unique<GroupNormOperation>(device_, layer, Bound("GroupNorm: input", floats),
                                                std::move(bound_weight), std::move(bound_bias));
  });
}

}  // namespace convoy::cpu
