// The parts of a backend that executes nothing: each says what the CUDA backend would enqueue in its place.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <optional>
#include <utility>

#include "engine/backend/backend.h"

namespace convoy::cuda {

inline Variable variable(const Shape& shape, bool with_gradient) {
  return {std::make_shared<Tensor>(shape), with_gradient ? std::make_shared<Tensor>(shape) : nullptr};
}

/// What a pass enqueues, one after the other.
struct Piece;
using Pieces = std::vector<Piece>;
struct Piece {
  PlanRow row;                            // where there is no graph
  std::optional<std::size_t> graph = {};  // of the store's rows
  std::shared_ptr<Pieces> instead = {};   // of the graph, where cuDNN has no plan
};

inline Piece own_kernel(const char* what, const Shape& shape, std::int64_t launches = 1) {
  return {.row = {.operation = fmt::format("{} of {}", what, shape.str()),
                  .realisation = Realisation::own_kernel,
                  .realised_by = "own kernel",
                  .notes = {},
                  .launches = launches}};
}

inline Piece gemm(const Shape& a, const Shape& b) {
  return {.row = {.operation = fmt::format("gemm of {} and {}", a.str(), b.str()),
                  .realisation = Realisation::chosen,
                  .realised_by = "cuBLASLt",
                  .notes = {}}};
}

/// Says what it would do.
class Sayer final : public Fork {
 public:
  struct Passes {
    Pieces forward, backward;
  };
  using Say = std::function<void(const Pieces&)>;

  Sayer(Say say, Passes passes, Variable output, Variable second = {})
      : say_(std::move(say)), passes_(std::move(passes)) {
    output_ = std::move(output);
    second_ = std::move(second);
  }
  void forward(Phase) override { say_(passes_.forward); }
  void backward() override { say_(passes_.backward); }

 private:
  Say say_;
  Passes passes_;
};

class SayingCounter final : public StepCounter {
 public:
  SayingCounter(const StepRule& rule, Sayer::Say say) : StepCounter(rule), say_(std::move(say)) {}
  void advance() override { say_({own_kernel("step counter", {1})}); }
  StepScalars scalars() const override { return {}; }
  void write(std::int64_t) override {}

 private:
  void follow(const StepTable&) override {}

  Sayer::Say say_;
};

class SayingOptimizer final : public Optimizer {
 public:
  SayingOptimizer(const ParameterArena& parameters, const OptimizerOptions& options, Sayer::Say say)
      : say_(std::move(say)) {
    for (const Variable& parameter : parameters.variables()) count_ += parameter.value->shape().count();
    const auto* sgd = std::get_if<SgdOptions>(&options);
    if (!sgd) state_ = {{"exp_avg", {}}, {"exp_avg_sq", {}}};
    if (sgd && sgd->momentum != 0.0f) state_ = {{"momentum_buffer", {}}};
  }
  void step() override { say_({own_kernel("optimizer", {count_})}); }

 private:
  Sayer::Say say_;
  std::int64_t count_ = 0;
};

class Arena final : public ParameterArena {
 public:
  Arena(std::span<const Shape> shapes, bool with_gradients) {
    for (const Shape& shape : shapes) variables_.push_back(variable(shape, with_gradients));
  }
};

class NoMetrics final : public Metrics {
 public:
  void reset() override {}
  MetricsReading read() const override { return {}; }
  void write(const MetricsReading&) override {}
};

class NoDataset final : public DeviceDataset {
 public:
  void set_order(std::span<const std::uint32_t>, std::int64_t, std::int64_t) override {}
};

class NoMark final : public TimeMark {
 public:
  double milliseconds_since(const TimeMark&) const override { return 0.0; }
};

}  // namespace convoy::cuda
