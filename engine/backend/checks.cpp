#include "engine/backend/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "convoy/error.h"
#include "engine/model/layer_rules.h"

namespace convoy {
namespace {

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

void require_fp32(const std::string& backend, const DeviceOptions& options) {
  const Precision precision = options.precision.value_or(Precision::fp32);
  if (precision == Precision::fp32) return;
  throw UsageError(fmt::format("{}: it knows no {}, take fp32", backend, name_of(precision)));
}

void refuse_dtype(const std::string& backend, DType dtype) {
  throw UsageError(fmt::format("{}: tensors are of float32 or int32, not of {}", backend, name_of(dtype)));
}

void require_count(const Shape& shape, std::size_t values) {
  if (static_cast<std::int64_t>(values) == shape.count()) return;
  throw UsageError(fmt::format("{} values written to a tensor of shape {}", values, shape.str()));
}

namespace {

// `name` is "bias" or "weight".
void require_optional(const std::string& layer, const char* name, bool wanted, const Variable& vector,
                      std::int64_t size) {
  if (wanted && !vector.value) throw UsageError(fmt::format("{}: {} is missing", layer, name));
  if (wanted) return require_shape(fmt::format("{}: {}", layer, name), vector.value->shape(), {size});
  if (!vector.value) return;
  throw UsageError(fmt::format("{}: a {} of shape {} for a layer without {}", layer, name,
                               vector.value->shape().str(), name));
}

}  // namespace

void require_bias(const std::string& layer, bool has_bias, const Variable& bias, std::int64_t outputs) {
  require_optional(layer, "bias", has_bias, bias, outputs);
}

void require_affine(const std::string& layer, bool affine, const Variable& weight, const Variable& bias,
                    std::int64_t channels) {
  require_optional(layer, "weight", affine, weight, channels);
  require_optional(layer, "bias", affine, bias, channels);
}

void require_shape(const std::string& what, const Shape& actual, const Shape& expected) {
  if (actual == expected) return;
  throw UsageError(fmt::format("{} has shape {}, expected {}", what, actual.str(), expected.str()));
}

void require_images(const std::string& what, const Shape& actual) {
  if (actual.rank() == 4 && !any_zero(actual)) return;
  throw UsageError(fmt::format("{} has shape {}, expected [N, C, H, W]", what, actual.str()));
}

void check_batch_statistics(const Shape& x) {
  if (x[0] * x[2] * x[3] < 2) {
    throw UsageError(fmt::format(
        "BatchNorm2d: input {} has one element a channel, which has no variance: it takes two images or more",
        x.str()));
  }
}

void check_fused_pool(const MaxPool2d& pool) {
  if (has_disjoint_windows(pool)) return;
  throw UsageError("BatchNorm2d: a max pool whose windows overlap or are padded is an operation of its own");
}

void check_add(const Variable& a, const Variable& b) {
  require_shape("add: second input", b.value->shape(), a.value->shape());
  if (a.grad && b.grad && a.grad->memory_id() == b.grad->memory_id()) {
    throw UsageError(fmt::format("add: both inputs are one variable {}; fork it", a.value->shape().str()));
  }
}

std::int64_t cross_entropy_classes(const Shape& logits, const Shape& labels) {
  if (logits.rank() != 2 || any_zero(logits)) {
    throw UsageError(fmt::format("cross-entropy: logits have shape {}, expected [N, classes]", logits.str()));
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
  check_normalization(dataset.normalization, dataset.image, dataset.name);
}

void check_normalization(const Normalization& normalization, const Shape& image, const std::string& what) {
  const auto channels = static_cast<std::size_t>(image[0]);
  const auto fits = [channels](const std::vector<float>& v) { return v.size() == 1 || v.size() == channels; };
  if (!fits(normalization.mean) || !fits(normalization.std)) {
    throw UsageError(fmt::format("{}: {} means and {} deviations for {} channels", what,
                                 normalization.mean.size(), normalization.std.size(), channels));
  }
  if (!std::ranges::all_of(normalization.std, [](float deviation) { return deviation > 0.0f; })) {
    throw UsageError(fmt::format("{}: a deviation to normalise by is not positive", what));
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

void check_label_smoothing(double label_smoothing) {
  if (label_smoothing >= 0.0 && label_smoothing < 1.0) return;  // no NaN
  throw UsageError(fmt::format("label smoothing {:g} is not in the range [0, 1)", label_smoothing));
}

namespace {

void require_augmentation(bool fits, double value, const char* what, const std::string& expected) {
  if (fits) return;  // no NaN
  throw UsageError(fmt::format("augmentation: {} {:g} is not {}", what, value, expected));
}

}  // namespace

void check_augmentation(const AugmentationOptions& options, const Shape& image) {
  constexpr std::int64_t kMostPixels = 1024;  // a side: places between pixels are integers of 32 bits
  constexpr double kMostDegrees = 180.0, kMostScaling = 0.5;
  const std::int64_t height = image[1], width = image[2], smaller = std::min(height, width);
  if (options.max_shift < 0 || options.max_shift >= smaller) {
    throw UsageError(
        fmt::format("augmentation: a shift of up to {} pixels does not fit images of {}: 0 to {} do",
                    options.max_shift, image.str(), smaller - 1));
  }
  if (options.cutout < 0 || options.cutout > smaller) {
    throw UsageError(
        fmt::format("augmentation: a square of {} pixels cannot be cut out of images of {}: 0 to {} can",
                    options.cutout, image.str(), smaller));
  }
  require_augmentation(options.max_rotation >= 0.0 && options.max_rotation <= kMostDegrees,
                       options.max_rotation, "a rotation by", "from 0 to 180 degrees");
  require_augmentation(options.max_scaling >= 0.0 && options.max_scaling <= kMostScaling, options.max_scaling,
                       "a scaling by", "from 0 to 0.5");
  if (std::max(height, width) > kMostPixels && (options.max_rotation > 0.0 || options.max_scaling > 0.0)) {
    throw UsageError(
        fmt::format("augmentation: images of {} are not rotated or scaled: up to {} pixels a side are",
                    image.str(), kMostPixels));
  }
}

bool augments(const AugmentationSource& augmentation, const Shape& image) {
  const AugmentationOptions& options = augmentation.options;
  check_augmentation(options, image);
  const bool draws = options.max_shift > 0 || options.flip != Flip::none || options.cutout > 0 ||
                     options.max_rotation > 0.0 || options.max_scaling > 0.0;
  if (draws && !augmentation.counter) {
    throw UsageError("augmentation: it draws by a step counter, and there is none");
  }
  return draws;
}

void check_view(const ImageView& view, const Shape& image) {
  const std::int64_t smaller = std::min(image[1], image[2]);
  if (std::abs(view.dy) < smaller && std::abs(view.dx) < smaller) return;
  throw UsageError(fmt::format("a view of images of {} cannot be shifted by {} and {} pixels", image.str(),
                               view.dy, view.dx));
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
  if (rule == step_rule(options, rule.schedule, rule.length)) return;
  throw UsageError("optimizer: the step counter was made by the rule of another optimizer");
}

void check_groups(std::span<const ParameterGroup> groups, const ParameterArena& parameters) {
  const std::size_t count = parameters.variables().size();
  if (groups.empty() || groups.size() == count) return;
  throw UsageError(fmt::format("optimizer: {} groups for {} parameters", groups.size(), count));
}

void check_muon(const MuonOptions& options) {
  constexpr std::int64_t kMostSteps = 99;  // as torch.optim.Muon
  check_rate_and_decay("Muon", options.learning_rate, options.weight_decay);
  require_option(options.momentum >= 0.0f && options.momentum < 1.0f, "Muon", "momentum", options.momentum,
                 "in the range [0, 1)");
  require_option(options.steps >= 1 && options.steps <= kMostSteps, "Muon", "steps",
                 static_cast<double>(options.steps), "from 1 to 99");
}

void check_muon(const MuonOptions& options, std::span<const ParameterGroup> groups,
                const ParameterArena& parameters) {
  check_muon(options);
  check_groups(groups, parameters);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Shape& shape = parameters.variables()[i].value->shape();
    if (groups[i] != ParameterGroup::orthogonalized || (shape.rank() > 1 && shape.count() > 0)) continue;
    throw UsageError(fmt::format("Muon: a parameter {} is no matrix", shape.str()));
  }
}

void check_clip_norm(float max_norm) {
  require_option(std::isfinite(max_norm) && max_norm > 0.0f, "gradient clipping", "norm", max_norm,
                 "a positive number");
}

void check_ema_decay(double decay) {
  require_option(decay > 0.0 && decay < 1.0, "moving average", "decay", decay, "above 0 and below 1");
}

}  // namespace convoy
