#include "apps/convoy/step_timing.h"

#include <fmt/format.h>

#include <algorithm>

#include "convoy/state.h"
#include "engine/data/order.h"
#include "engine/train/finish_on_exit.h"
#include "engine/train/step.h"

namespace convoy {
namespace {

constexpr std::uint64_t kSeed = 1;

/// What one execution of a part enqueues; nothing where it cannot be captured into a CUDA graph.
std::optional<std::int64_t> launches_of(Backend& backend, const StepPart& part) {
  const auto recording = backend.record(part.run);
  recording->run(1);      // plain
  recording->run(1);      // captured
  backend.synchronize();  // before the CUDA graph goes
  const auto size = recording->cuda_graph();
  return size ? std::optional(size->nodes) : std::nullopt;
}

std::vector<PassTiming> pass_timings(Backend& backend, const Step& step, const StepProfile& profile,
                                     bool with_launches) {
  std::vector<PassTiming> passes;
  for (std::size_t i = 0; i < step.parts().size(); ++i) {
    const StepPart& part = step.parts()[i];
    const bool sums = part.name.starts_with(kAllReduce);  // what forks a stream is joined by another part
    passes.push_back({.name = part.name,
                      .type = part.type,
                      .pass = part.pass,
                      .ms = profile.parts[i].duration_ms.quantile(0.5),
                      .work = part.work,
                      .launches = with_launches && !sums ? launches_of(backend, part) : std::nullopt});
  }
  return passes;
}

}  // namespace

std::vector<LayerTiming> layer_timings(const StepProfile& profile) {
  std::vector<LayerTiming> layers;
  for (const PartProfile& part : profile.parts) {
    const double median = part.duration_ms.quantile(0.5);
    if (part.pass != Pass::backward) {
      layers.push_back({part.name, part.type, median, 0.0, /*has_backward=*/false});
      continue;
    }
    const auto layer = std::ranges::find(layers, part.name, &LayerTiming::name);
    layer->backward_ms = median;
    layer->has_backward = true;
  }
  return layers;
}

std::string layer_table(const std::vector<LayerTiming>& layers) {
  Table table({"operation", "type", "forward ms", "backward ms"});
  table.left(1);
  double forward = 0.0, backward = 0.0;
  for (const LayerTiming& layer : layers) {
    table.add({layer.name, layer.type, fmt::format("{:.3f}", layer.forward_ms),
               layer.has_backward ? fmt::format("{:.3f}", layer.backward_ms) : "-"});
    forward += layer.forward_ms;
    backward += layer.backward_ms;
  }
  table.add({"sum", "", fmt::format("{:.3f}", forward), fmt::format("{:.3f}", backward)});
  return table.str();
}

Json to_json(const std::vector<LayerTiming>& layers) {
  Json rows = Json::array();
  for (const LayerTiming& layer : layers) {
    rows.push_back({{"name", layer.name},
                    {"type", layer.type},
                    {"forward_ms", layer.forward_ms},
                    {"backward_ms", layer.backward_ms}});
  }
  return rows;
}

StepTiming time_step(Backend& backend, const Model& model, const Dataset& dataset,
                     const StepTimingOptions& options) {
  TrainingState state(backend, model, initial_state(model, kSeed),
                      {.optimizer = AdamOptions{}, .seed = kSeed});
  const EpochShares shares(dataset.count(), options.batch_size, backend.group().place());
  TrainingNetwork network(state, model, shares.full);
  const auto uploaded = backend.upload(dataset);
  const auto order = shuffled_order(dataset.count(), kSeed, 1);
  const std::int64_t batches = dataset.count() / options.batch_size;
  std::int64_t done = 0;
  const auto rewind = [&](std::int64_t steps) {
    if (done % batches == 0 || done / batches != (done + steps - 1) / batches) uploaded->set_order(order);
    done += steps;
  };

  StepTiming timing;
  const auto step = network.training_step(*uploaded);
  backend.prepare();
  const FinishOnExit finish(backend);
  const std::int64_t at_once = backend.steps_per_launch();
  rewind(1);
  // The first step runs kernel by kernel. From the second on, CUDA launches recorded graphs.
  step->run(1);
  while (done < std::max(options.warmup, at_once)) {
    rewind(at_once);
    step->run(at_once);
  }
  const bool on_the_host = backend.memory().allocated == 0;
  for (std::int64_t i = 0; i < options.steps; i += at_once) {
    rewind(on_the_host ? at_once : 2 * at_once);
    backend.synchronize();
    if (!on_the_host) step->run(at_once);
    const auto begin = backend.mark();
    step->run(at_once);
    timing.step_ms.add(backend.mark()->milliseconds_since(*begin) / static_cast<double>(at_once));
  }
  timing.steps_per_launch = at_once;
  timing.cuda_graph = step->replay().cuda_graph();
  timing.memory = backend.memory();

  StepProfiler profiler(backend, *step);
  for (std::int64_t i = 0; i < options.steps; i += at_once) {
    // A launch of many steps keeps the device busy while the host enqueues the profiled step. So no part of
    // that step waits for the host, nor for a new order.
    const std::int64_t ahead = at_once > 1 ? at_once : 0;
    rewind(ahead + 1);
    if (ahead > 0) step->run(ahead);
    profiler.run_step();
  }
  const StepProfile profile = profiler.result();
  timing.layers = layer_timings(profile);
  timing.passes = pass_timings(backend, *step, profile, timing.cuda_graph.has_value());
  return timing;
}

}  // namespace convoy
