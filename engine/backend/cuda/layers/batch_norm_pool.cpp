// Batch norm with the ReLU and the max pool behind it: by own kernels, which leave out what lies between, or
// one layer after the other, as cuDNN has them. With autotuning the faster way is taken.
#include "kernels/batch_norm_pool.h"

#include <fmt/format.h>

#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/layers/batch_norm_checks.h"
#include "engine/backend/cuda/layers/column_sum.h"
#include "engine/backend/cuda/layers/image_shapes.h"
#include "engine/backend/cuda/layers/own_kernels.h"
#include "engine/backend/cuda/runtime/tuned_operation.h"
#include "engine/backend/sequence.h"

namespace convoy::cuda {

bool fuses_batch_norm_pool(const DeviceOptions& options, const MaxPool2d& pool) {
  const kernels::Extents taps = narrowed(pool.kernel_size);
  return options.fuse.value_or(true) && has_disjoint_windows(pool) &&
         taps.count() <= kernels::kMaxBatchNormPoolTaps;
}

bool has_batch_norm_pool_kernel(const MaxPool2d& pool, const Shape& x) {
  return kernels::batch_norm_pool_fits(pool_shape(pool, x, DType::float32));
}

namespace {

class BatchNormPoolOperation final : public Operation {
 public:
  /// `output` may be what another way puts out, or empty.
  BatchNormPoolOperation(Context& context, const BatchNorm2d& layer, const MaxPool2d& pool, const Variable& x,
                         const BatchNormTensors& t, const Variable& output = {})
      : context_(context),
        epsilon_(static_cast<float>(layer.eps)),
        momentum_(static_cast<float>(layer.momentum)),
        shape_(pool_shape(pool, x.value->shape(), device(x.value).dtype())),
        x_(x),
        t_(t),
        scratch_(shape_.images * shape_.in.count(), shape_.channels) {
    const Shape y = output_shape(pool, x.value->shape());
    output_ = output.value ? output : context.make_activation(y, has_gradient(x, t));
    const Shape vector = {layer.num_features};
    saved_mean_ = context.make_tensor(vector, DType::float32);
    saved_inverse_std_ = context.make_tensor(vector, DType::float32);
    if (!output_.grad) return;
    winners_ = context.make_tensor(y, shape_.dtype);
    index_ = Buffer(static_cast<std::size_t>(y.count()));
    dweight_ = gradient_or_spare(context, t.weight.grad, vector, DType::float32);
    dbias_ = gradient_or_spare(context, t.bias.grad, vector, DType::float32);
  }

  void forward(Phase phase) override {
    if (phase == Phase::evaluation) return evaluate();
    check_batch_statistics(x_.value->shape());
    kernels::batch_norm_pool_training(shape_,
                                      {.norm = {.x = device(x_.value).data(),
                                                .y = device(output_.value).data(),
                                                .weight = device(t_.weight.value).as<float>(),
                                                .bias = device(t_.bias.value).as<float>(),
                                                .running_mean = device(t_.running_mean).as<float>(),
                                                .running_var = device(t_.running_var).as<float>(),
                                                .saved_mean = saved_mean_->as<float>(),
                                                .saved_inverse_std = saved_inverse_std_->as<float>(),
                                                .scratch = scratch_.scratch(),
                                                .epsilon = epsilon_,
                                                .momentum = momentum_},
                                       .winners = winners_ ? winners_->data() : nullptr,
                                       .index = index_.as<std::uint8_t>()},
                                      context_.stream());
  }

  void backward() override {
    if (!output_.grad) return;
    kernels::batch_norm_pool_backward(shape_,
                                      {.x = device(x_.value).data(),
                                       .winners = winners_->data(),
                                       .index = index_.as<std::uint8_t>(),
                                       .dy = device(output_.grad).data(),
                                       .dx = x_.grad ? device(x_.grad).data() : nullptr,
                                       .weight = device(t_.weight.value).as<float>(),
                                       .saved_mean = saved_mean_->as<float>(),
                                       .saved_inverse_std = saved_inverse_std_->as<float>(),
                                       .dweight = device(dweight_).as<float>(),
                                       .dbias = device(dbias_).as<float>(),
                                       .scratch = scratch_.scratch()},
                                      context_.stream());
  }

 private:
  void evaluate() {
    kernels::batch_norm_pool_evaluation(shape_,
                                        {.x = device(x_.value).data(),
                                         .y = device(output_.value).data(),
                                         .weight = device(t_.weight.value).as<float>(),
                                         .bias = device(t_.bias.value).as<float>(),
                                         .running_mean = device(t_.running_mean).as<float>(),
                                         .running_var = device(t_.running_var).as<float>(),
                                         .epsilon = epsilon_},
                                        context_.stream());
  }

  Context& context_;
  float epsilon_;
  float momentum_;
  kernels::PoolShape shape_;
  Variable x_;
  BatchNormTensors t_;
  ColumnSum scratch_;
  std::shared_ptr<DeviceTensor> saved_mean_;
  std::shared_ptr<DeviceTensor> saved_inverse_std_;
  std::shared_ptr<DeviceTensor> winners_;  // null without a backward, and so the next
  Buffer index_;
  TensorPtr dweight_, dbias_;
};

constexpr const char* kFused = "batch norm and max pool";
constexpr const char* kLayerByLayer = "layer by layer";

PlanRow row_of(const std::string& pass, const Shape& x, std::int64_t launches) {
  return {.operation = fmt::format("batch_norm+relu+max_pool.{} of {}", pass, x.str()),
          .realisation = Realisation::own_kernel,
          .realised_by = fmt::format("own kernel: {}", kFused),
          .notes = "deterministic",
          .launches = launches};
}

std::vector<PlanRow> rows_of(const Variable& x, bool trained) {
  const Shape& shape = x.value->shape();
  if (!trained) return {row_of("evaluation", shape, 1)};
  return {row_of("training", shape, 2), row_of("backward", shape, x.grad ? 2 : 1)};
}

/// All that decides which way is faster.
std::string key_of(const MaxPool2d& pool, const Variable& x, DType type) {
  const Window window = window_of(pool);
  return fmt::format("batch_norm+relu+max_pool of {} in {}, windows {}x{} by {}x{}{}", x.value->shape().str(),
                     name_of(type), window.kernel_size[0], window.kernel_size[1], window.stride[0],
                     window.stride[1], x.grad ? "" : ", without the gradient of x");
}

/// What timing may not change: the running statistics, and gradients that other networks share.
std::vector<TensorPtr> kept_of(const BatchNormTensors& t) {
  std::vector<TensorPtr> kept = {t.running_mean, t.running_var};
  for (const TensorPtr& gradient : {t.weight.grad, t.bias.grad}) {
    if (gradient) kept.push_back(gradient);
  }
  return kept;
}

}  // namespace

bool CudaBackend::fuses(const MaxPool2d& pool) const {
  return fuses_batch_norm_pool(context_.options(), pool);
}

OperationPtr CudaBackend::make_batch_norm_pool(const BatchNorm2d& layer, const MaxPool2d& pool,
                                               const Variable& x, const BatchNormTensors& tensors) {
  check_fused_pool(pool);
  check_batch_norm(context_, layer, x, tensors);
  const std::optional<bool> wanted = context_.options().fuse;
  const bool trained = has_gradient(x, tensors);
  const auto layer_by_layer = [&]() -> Way {
    const PlanRow row = {.operation = fmt::format("batch_norm+relu+max_pool of {}", x.value->shape().str()),
                         .realisation = Realisation::chosen,
                         .realised_by = kLayerByLayer,
                         .notes = {},
                         .launches = 0};  // its layers have theirs
    return {kLayerByLayer, batch_norm_then_pool(*this, layer, pool, x, tensors), {row}};
  };
  const auto fused = [&](const Variable& output) -> Way {
    return {kFused, std::make_unique<BatchNormPoolOperation>(context_, layer, pool, x, tensors, output),
            rows_of(x, trained)};
  };
  const auto alone = [&](Way way, const std::string& note = {}) {
    report_way(context_, way, note);
    return std::move(way.operation);
  };
  if (!has_batch_norm_pool_kernel(pool, x.value->shape()) || !wanted.value_or(true)) {
    return layer_by_layer().operation;
  }
  // Evaluation alone takes a launch less, and memory is passed through once: there is nothing to ask.
  if (wanted || !context_.options().autotune || !trained) return alone(fused({}));
  const std::string key = key_of(pool, x, context_.activation());
  const std::optional<std::string> known = context_.plan_store().fastest_way(key);
  if (known == kFused) return alone(fused({}), "from the cache");
  if (known == kLayerByLayer) return alone(layer_by_layer(), "from the cache");
  std::vector<Way> ways;
  ways.push_back(layer_by_layer());
  ways.push_back(fused(ways.front().operation->output()));
  return std::make_unique<TunedOperation>(context_, key, std::move(ways), kept_of(tensors));
}

}  // namespace convoy::cuda
