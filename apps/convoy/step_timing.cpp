#include "apps/convoy/step_timing.h"

#include <chrono>
#include <functional>

#include "engine/data/order.h"
#include "engine/model/state.h"
#include "engine/train/step.h"

namespace convoy {
namespace {

constexpr std::uint64_t kSeed = 1;

/// Something to time in each step; its device has finished when the clock is read.
double milliseconds(Backend& backend, const std::function<void()>& run) {
  backend.synchronize();
  const auto start = std::chrono::steady_clock::now();
  run();
  backend.synchronize();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// One operation of a step and what was measured of it.
struct TimedOperation {
  std::string name;
  std::string type;
  std::function<void()> forward;
  std::function<void()> backward;  // empty if it has none
  Samples forward_ms;
  Samples backward_ms;
};

TimedOperation timed(const NamedOperation& named) {
  Operation* operation = named.operation.get();
  return {named.name,
          named.type,
          [operation] { operation->forward(Phase::training); },
          [operation] { operation->backward(); },
          {},
          {}};
}

LayerTiming medians(const TimedOperation& operation) {
  LayerTiming timing{operation.name, operation.type, operation.forward_ms.quantile(0.5)};
  timing.has_backward = static_cast<bool>(operation.backward);
  if (timing.has_backward) timing.backward_ms = operation.backward_ms.quantile(0.5);
  return timing;
}

}  // namespace

StepTiming time_step(Backend& backend, const Model& model, const Dataset& dataset,
                     const StepTimingOptions& options) {
  TrainingState state(backend, model, initial_state(model, kSeed), AdamOptions{});
  BatchNetwork network(state, model, options.batch_size, kSeed);
  const auto resident = backend.upload(dataset);
  const auto order = shuffled_order(dataset.count(), kSeed, 1);
  const std::int64_t batches = dataset.count() / options.batch_size;
  const auto rewind_before = [&](std::int64_t step) {
    if (step % batches == 0) resident->set_order(order);
  };

  StepTiming timing;
  const auto step = network.training_step(*resident);
  for (std::int64_t i = 0; i < options.warmup + options.steps; ++i) {
    rewind_before(i);
    const double ms = milliseconds(backend, step);
    if (i >= options.warmup) timing.step_ms.add(ms);
  }

  // Like the network's own, which is out of reach inside its step.
  const Shape images = {options.batch_size, model.input[0], model.input[1], model.input[2]};
  const OperationPtr batch = backend.make_batch(*resident, backend.make_tensor(images, DType::float32),
                                                backend.make_tensor({options.batch_size}, DType::int32));
  std::vector<TimedOperation> operations;
  operations.push_back({"batch", "Batch", [&] { batch->forward(Phase::training); }, nullptr, {}, {}});
  for (const NamedOperation& operation : network.network().operations())
    operations.push_back(timed(operation));
  operations.push_back(timed(network.loss()));
  operations.push_back({"adam", "Adam", [&] { state.optimizer->step(); }, nullptr, {}, {}});
  // The optimizer runs last, after every backward.
  const auto optimizer = operations.end() - 1;
  for (std::int64_t i = 0; i < options.steps; ++i) {
    rewind_before(i);
    state.counter->increment();
    for (auto o = operations.begin(); o != optimizer; ++o)
      o->forward_ms.add(milliseconds(backend, o->forward));
    for (auto o = optimizer; o != operations.begin();) {
      --o;
      if (o->backward) o->backward_ms.add(milliseconds(backend, o->backward));
    }
    optimizer->forward_ms.add(milliseconds(backend, optimizer->forward));
  }
  for (const TimedOperation& operation : operations) timing.layers.push_back(medians(operation));
  return timing;
}

}  // namespace convoy
