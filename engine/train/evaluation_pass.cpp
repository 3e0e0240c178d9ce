#include "engine/train/evaluation_pass.h"

#include <fmt/format.h>

#include <memory>

#include "engine/core/error.h"
#include "engine/data/order.h"
#include "engine/train/finish_on_exit.h"

namespace convoy {
namespace {

struct SizedStep {
  const BatchNetwork& network;
  std::unique_ptr<Step> step;
  std::int64_t times;
};

// Evaluates every batch in the data set's order; `visit`, if any, sees the network after each.
void for_each_batch(const EvaluationPass& pass, const Dataset& dataset,
                    const std::function<void(const Network&)>& visit) {
  check_dataset_of(pass.model, dataset);
  const auto resident = pass.state.backend.upload(dataset);
  resident->set_order(sequential_order(dataset.count()));
  pass.state.metrics->reset();

  std::vector<SizedStep> steps;
  const auto add = [&](std::int64_t batch, std::int64_t times) {
    if (batch == 0 || times == 0) return;
    BatchNetwork& network = pass.network_of(batch);
    steps.push_back({network, network.evaluation_step(*resident), times});
  };
  add(pass.batch_size, dataset.count() / pass.batch_size);
  add(dataset.count() % pass.batch_size, 1);

  pass.state.backend.prepare();
  const FinishOnExit finish(pass.state.backend);
  for (SizedStep& sized : steps) {
    if (!visit) {
      sized.step->run(sized.times);
      continue;
    }
    for (std::int64_t i = 0; i < sized.times; ++i) {
      sized.step->run(1);
      visit(sized.network.network());
    }
  }
  pass.state.backend.synchronize();  // reports what `finish` would have to swallow
}

}  // namespace

void check_dataset_of(const Model& model, const Dataset& dataset) {
  if (dataset.count() == 0) throw UsageError(fmt::format("{} has no images", dataset.name));
  if (dataset.image != model.input) {
    throw UsageError(fmt::format("{} has images {}, model '{}' takes {}", dataset.name, dataset.image.str(),
                                 model.name, model.input.str()));
  }
  const std::int64_t classes = class_count(model);
  if (dataset.classes > classes) {
    throw UsageError(fmt::format("{} has {} classes, model '{}' puts out {}", dataset.name, dataset.classes,
                                 model.name, classes));
  }
}

Evaluation evaluate(const EvaluationPass& pass, const Dataset& dataset) {
  for_each_batch(pass, dataset, nullptr);
  const MetricsReading reading = pass.state.metrics->read();
  const auto samples = static_cast<double>(reading.samples);
  return {reading.loss_sum / samples, static_cast<double>(reading.correct) / samples, reading.samples};
}

std::vector<double> predict(const EvaluationPass& pass, const Dataset& dataset) {
  std::vector<double> logits;
  logits.reserve(static_cast<std::size_t>(dataset.count() * class_count(pass.model)));
  for_each_batch(pass, dataset, [&](const Network& network) {
    const auto output = pass.state.backend.read(*network.output().value);
    logits.insert(logits.end(), output.begin(), output.end());
  });
  return logits;
}

}  // namespace convoy
