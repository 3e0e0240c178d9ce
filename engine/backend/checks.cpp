#include "engine/backend/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"

namespace convoy {
namespace {

std::string str(const Extent& extent) { return fmt::format("[{}, {}]", extent[0], extent[1]); }

bool within(const Extent& extent, std::int64_t low) {
  // The upper end keeps every later product of two within 63 bits.
  constexpr std::int64_t high = std::numeric_limits<std::int32_t>::max();
  return std::ranges::all_of(extent, [low](std::int64_t v) { return v >= low && v <= high; });
}

bool any_zero(const Shape& shape) {
  return std::ranges::any_of(shape.dimensions(), [](std::int64_t d) { return d < 1; });
}

}  // namespace

void refuse_foreign(const std::string& what) {
  throw UsageError(fmt::format("{} was made by another backend", what));
}

void refuse_tensor(const std::string& what, const Tensor* tensor, const char* kind) {
  if (!tensor) throw UsageError(fmt::format("{} is missing", what));
  throw UsageError(
      fmt::format("{} {} is not a tensor of {} made by this backend", what, tensor->shape().str(), kind));
}

void refuse_dtype(const std::string& backend, DType dtype) {
  throw UsageError(fmt::format("{}: tensors are of float32 or int32, not of {}", backend, name_of(dtype)));
}

void require_count(const Shape& shape, std::size_t values) {
  if (static_cast<std::int64_t>(values) == shape.count()) return;
  throw UsageError(fmt::format("{} values written to a tensor of shape {}", values, shape.str()));
}

void require_bias(const std::string& layer, bool has_bias, const Variable& bias, std::int64_t outputs) {
  if (has_bias && !bias.value) throw UsageError(fmt::format("{}: bias is missing", layer));
  if (has_bias) return require_shape(layer + ": bias", bias.value->shape(), {outputs});
  if (!bias.value) return;
  throw UsageError(
      fmt::format("{}: a bias of shape {} for a layer without bias", layer, bias.value->shape().str()));
}

void require_shape(const std::string& what, const Shape& actual, const Shape& expected) {
  if (actual == expected) return;
  throw UsageError(fmt::format("{} has shape {}, expected {}", what, actual.str(), expected.str()));
}

void require_images(const std::string& what, const Shape& actual, std::int64_t channels) {
  const bool fits = actual.rank() == 4 && !any_zero(actual) && (channels == 0 || actual[1] == channels);
  if (fits) return;
  throw UsageError(fmt::format("{} has shape {}, expected [N, {}, H, W]", what, actual.str(),
                               channels == 0 ? "C" : std::to_string(channels)));
}

Shape conv2d_output(const Conv2d& layer, const Shape& x) {
  if (layer.groups < 1 || layer.in_channels < 1 || layer.out_channels < 1 ||
      layer.in_channels % layer.groups != 0 || layer.out_channels % layer.groups != 0) {
    throw UsageError(fmt::format("Conv2d: {} input and {} output channels do not divide into {} groups",
                                 layer.in_channels, layer.out_channels, layer.groups));
  }
  if (!within(layer.kernel_size, 1) || !within(layer.stride, 1) || !within(layer.dilation, 1) ||
      !within(layer.padding, 0)) {
    throw UsageError(
        fmt::format("Conv2d: kernel {}, stride {} and dilation {} must be positive, padding {} not negative",
                    str(layer.kernel_size), str(layer.stride), str(layer.dilation), str(layer.padding)));
  }
  require_images("Conv2d: input", x, layer.in_channels);
  Extent out{};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t covered = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1;
    const std::int64_t padded = x[2 + axis] + 2 * layer.padding[axis];
    if (covered > padded) {
      throw UsageError(
          fmt::format("Conv2d: kernel {} with dilation {} does not fit the input {} with padding {}",
                      str(layer.kernel_size), str(layer.dilation), x.str(), str(layer.padding)));
    }
    out[axis] = (padded - covered) / layer.stride[axis] + 1;
  }
  return {x[0], layer.out_channels, out[0], out[1]};
}

Shape conv2d_weight(const Conv2d& layer) {
  return {layer.out_channels, layer.in_channels / layer.groups, layer.kernel_size[0], layer.kernel_size[1]};
}

void check_conv2d_relu(bool fuse_relu, bool with_gradients) {
  if (fuse_relu && with_gradients) {
    throw UsageError("Conv2d: with its ReLU it is one operation only where nothing has a gradient");
  }
}

namespace {

template <typename Pool>
PoolWindow window_of(const Pool& layer) {
  PoolWindow window{layer.kernel_size, layer.stride, layer.padding};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (window.stride[axis] == 0) window.stride[axis] = window.kernel[axis];
  }
  return window;
}

}  // namespace

PoolWindow pool_window(const MaxPool2d& layer) { return window_of(layer); }
PoolWindow pool_window(const AvgPool2d& layer) { return window_of(layer); }

Shape pool_output(const std::string& layer, const PoolWindow& window, const Shape& x) {
  require_images(layer + ": input", x);
  if (!within(window.kernel, 1) || !within(window.stride, 1) || !within(window.padding, 0)) {
    throw UsageError(fmt::format("{}: kernel {} and stride {} must be positive, padding {} not negative",
                                 layer, str(window.kernel), str(window.stride), str(window.padding)));
  }
  Extent out{};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (2 * window.padding[axis] > window.kernel[axis]) {
      throw UsageError(fmt::format("{}: padding {} is more than half the kernel {}", layer,
                                   str(window.padding), str(window.kernel)));
    }
    const std::int64_t padded = x[2 + axis] + 2 * window.padding[axis];
    if (window.kernel[axis] > padded) {
      throw UsageError(fmt::format("{}: kernel {} does not fit the input {} with padding {}", layer,
                                   str(window.kernel), x.str(), str(window.padding)));
    }
    out[axis] = (padded - window.kernel[axis]) / window.stride[axis] + 1;
  }
  return {x[0], x[1], out[0], out[1]};
}

void check_batch_norm(const BatchNorm2d& layer, const Shape& x) {
  if (layer.num_features < 1) {
    throw UsageError(fmt::format("BatchNorm2d: num_features is {}, must be positive", layer.num_features));
  }
  require_images("BatchNorm2d: input", x, layer.num_features);
}

void check_batch_statistics(const Shape& x) {
  if (x[0] * x[2] * x[3] < 2) {
    throw UsageError(fmt::format(
        "BatchNorm2d: input {} has one element a channel, which has no variance; use a larger batch",
        x.str()));
  }
}

Shape linear_output(const Linear& layer, const Shape& x, const Shape& weight) {
  const bool flat = x.rank() == 2;
  if (layer.in_features < 1 || layer.out_features < 1 || !(flat || x.rank() == 4) || any_zero(x) ||
      x.count() / x[0] != layer.in_features) {
    throw UsageError(
        fmt::format("Linear: input has shape {}, expected [N, {}] or [N, C, H, W] with C H W = {}", x.str(),
                    layer.in_features, layer.in_features));
  }
  require_shape("Linear: weight", weight,
                flat ? Shape{layer.out_features, x[1]} : Shape{layer.out_features, x[1], x[2], x[3]});
  return {x[0], layer.out_features};
}

std::int64_t cross_entropy_classes(const Shape& logits, const Shape& labels) {
  const bool flat = logits.rank() == 2;
  const bool plane = logits.rank() == 4 && logits[2] == 1 && logits[3] == 1;
  if (!(flat || plane) || any_zero(logits)) {
    throw UsageError(fmt::format(
        "cross-entropy: logits have shape {}, expected [N, classes] or [N, classes, 1, 1]", logits.str()));
  }
  if (labels != Shape{logits[0]}) {
    throw UsageError(
        fmt::format("cross-entropy: labels have shape {}, logits {}", labels.str(), logits.str()));
  }
  return logits[1];
}

void check_dataset(const Dataset& dataset) {
  if (dataset.image.rank() != 3) {
    throw UsageError(
        fmt::format("{}: image shape {}, expected [C, H, W]", dataset.name, dataset.image.str()));
  }
  const std::int64_t expected = dataset.count() * dataset.image.count();
  if (static_cast<std::int64_t>(dataset.pixels.size()) != expected) {
    throw UsageError(fmt::format("{}: {} pixels, but {} images of {} have {}", dataset.name,
                                 dataset.pixels.size(), dataset.count(), dataset.image.str(), expected));
  }
  const auto channels = static_cast<std::size_t>(dataset.image[0]);
  const auto fits = [channels](const std::vector<float>& v) { return v.size() == 1 || v.size() == channels; };
  const Normalization& normalization = dataset.normalization;
  if (!fits(normalization.mean) || !fits(normalization.std)) {
    throw UsageError(fmt::format("{}: {} means and {} deviations for {} channels", dataset.name,
                                 normalization.mean.size(), normalization.std.size(), channels));
  }
  if (!std::ranges::all_of(normalization.std, [](float deviation) { return deviation > 0.0f; })) {
    throw UsageError(fmt::format("{}: a deviation to normalise by is not positive", dataset.name));
  }
}

void check_order(std::span<const std::uint32_t> order, std::int64_t begin, std::size_t samples,
                 const std::string& dataset) {
  if (order.empty()) throw UsageError(fmt::format("{}: the order is empty", dataset));
  if (order.size() > samples) {
    throw UsageError(
        fmt::format("{}: the order is of {} samples, the data set has {}", dataset, order.size(), samples));
  }
  if (begin < 0 || begin >= std::ssize(order)) {
    throw UsageError(
        fmt::format("{}: entry {} to begin at is not in an order of {}", dataset, begin, order.size()));
  }
  const auto outside = std::ranges::find_if(order, [&](std::uint32_t sample) { return sample >= samples; });
  if (outside == order.end()) return;
  throw UsageError(fmt::format("{}: the order asks for sample {} of {}", dataset, *outside, samples));
}

void check_augmentation(const AugmentationOptions& options, const Shape& image) {
  const std::int64_t smaller = std::min(image[1], image[2]);
  if (options.max_shift >= 0 && options.max_shift < smaller) return;
  throw UsageError(
      fmt::format("augmentation: a shift of up to {} pixels does not fit images of {}: 0 to {} do",
                  options.max_shift, image.str(), smaller - 1));
}

bool augments(const AugmentationSource& augmentation, const Shape& image) {
  check_augmentation(augmentation.options, image);
  if (augmentation.options.max_shift == 0 && !augmentation.options.flip) return false;
  if (!augmentation.counter) throw UsageError("augmentation: it draws by a step counter, and there is none");
  return true;
}

namespace {

void require_option(bool fits, const char* whose, const char* option, double value, const char* expected) {
  if (fits) return;
  throw UsageError(fmt::format("{}: {} {:g} is not {}", whose, option, value, expected));
}

void check_rate_and_decay(const char* optimizer, float learning_rate, float weight_decay) {
  require_option(std::isfinite(learning_rate) && learning_rate > 0.0f, optimizer, "learning rate",
                 learning_rate, "a positive number");
  require_option(std::isfinite(weight_decay) && weight_decay >= 0.0f, optimizer, "weight decay", weight_decay,
                 "a number of at least 0");
}

void check(const AdamOptions& options) {
  const char* const name = options.decoupled_weight_decay ? "AdamW" : "Adam";
  check_rate_and_decay(name, options.learning_rate, options.weight_decay);
  require_option(options.beta1 >= 0.0f && options.beta1 < 1.0f, name, "beta1", options.beta1,
                 "in the range [0, 1)");
  require_option(options.beta2 >= 0.0f && options.beta2 < 1.0f, name, "beta2", options.beta2,
                 "in the range [0, 1)");
  require_option(std::isfinite(options.epsilon) && options.epsilon >= 0.0f, name, "epsilon", options.epsilon,
                 "a number of at least 0");
}

void check(const SgdOptions& options) {
  check_rate_and_decay("SGD", options.learning_rate, options.weight_decay);
  require_option(std::isfinite(options.momentum) && options.momentum >= 0.0f, "SGD", "momentum",
                 options.momentum, "a number of at least 0");
  require_option(!options.nesterov || options.momentum > 0.0f, "SGD", "momentum", options.momentum,
                 "above 0, as nesterov needs it");
}

}  // namespace

void check_optimizer(const OptimizerOptions& options) {
  std::visit([](const auto& optimizer) { check(optimizer); }, options);
}

void check_step_rule(const StepRule& rule, const OptimizerOptions& options) {
  if (rule == step_rule(options, rule.schedule)) return;
  throw UsageError("optimizer: the step counter was made by the rule of another optimizer");
}

void check_schedule(const Schedule& schedule) {
  if (schedule.kind == Schedule::Kind::constant) return;
  const char* const name = "linear schedule";
  require_option(schedule.start_factor > 0.0f && schedule.start_factor <= 1.0f, name, "start_factor",
                 schedule.start_factor, "above 0 and at most 1");
  require_option(schedule.end_factor >= 0.0f && schedule.end_factor <= 1.0f, name, "end_factor",
                 schedule.end_factor, "from 0 to 1");
  require_option(schedule.total_iters >= 1, name, "total_iters", static_cast<double>(schedule.total_iters),
                 "a positive number");
}

}  // namespace convoy
