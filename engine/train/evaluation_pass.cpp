#include "engine/train/evaluation_pass.h"

#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/data/order.h"
#include "engine/train/finish_on_exit.h"

namespace convoy {
namespace {

struct SizedStep {
  const Network& network;
  std::unique_ptr<Step> step;
  std::int64_t times;
};

// Lends a training's metrics to an evaluation, and puts them back however that ends.
class BorrowedMetrics {
 public:
  explicit BorrowedMetrics(Metrics& metrics) : metrics_(metrics), training_(metrics.read()) {
    metrics_.reset();
  }
  ~BorrowedMetrics() {
    if (given_back_) return;
    try {
      metrics_.write(training_);
    } catch (const std::exception&) {
      // The device failed, and the error that ended the evaluation is on its way.
    }
  }
  BorrowedMetrics(const BorrowedMetrics&) = delete;  // of one scope
  BorrowedMetrics& operator=(const BorrowedMetrics&) = delete;

  /// At the end of an evaluation that went well: reports that the device failed.
  void give_back() {
    metrics_.write(training_);
    given_back_ = true;
  }

 private:
  Metrics& metrics_;
  MetricsReading training_;
  bool given_back_ = false;
};

class EvaluationPass final : public Evaluator {
 public:
  EvaluationPass(const EvaluatedModel& evaluated, const Dataset& dataset)
      : backend_(evaluated.state.backend),
        metrics_(*evaluated.state.metrics),
        evaluated_(evaluated),
        count_(dataset.count()),
        share_(even_share(count_, backend_.group().place())),
        classes_(class_count(evaluated.model)),
        resident_(backend_.upload(dataset)),
        share_steps_(steps_over(share_.rows)) {}

  Evaluation evaluate() override {
    evaluated_.state.parameters.share_statistics();
    BorrowedMetrics borrowed(metrics_);
    run(share_steps_, share_.first, [](SizedStep& sized) { sized.step->run(sized.times); });
    const MetricsReading reading = sum_over(backend_.group(), metrics_.read());
    borrowed.give_back();
    const auto samples = static_cast<double>(reading.samples);
    return {reading.loss_sum / samples, static_cast<double>(reading.correct) / samples, reading.samples};
  }

  std::vector<double> predict() override {
    evaluated_.state.parameters.share_statistics();
    // A group's processes have steps over their shares; each of them predicts the whole.
    std::vector<SizedStep> of_group;
    if (share_.rows < count_) of_group = steps_over(count_);
    BorrowedMetrics borrowed(metrics_);
    std::vector<double> logits;
    logits.reserve(static_cast<std::size_t>(count_ * classes_));
    run(share_.rows < count_ ? of_group : share_steps_, 0, [&](SizedStep& sized) {
      for (std::int64_t i = 0; i < sized.times; ++i) {
        sized.step->run(1);
        const auto output = backend_.read(*sized.network.output().value);
        logits.insert(logits.end(), output.begin(), output.end());
      }
    });
    borrowed.give_back();
    return logits;
  }

 private:
  // Whole batches and the rest.
  std::vector<SizedStep> steps_over(std::int64_t rows) {
    std::vector<SizedStep> steps;
    const auto add = [&](std::int64_t batch, std::int64_t times) {
      if (batch == 0 || times == 0) return;
      BatchNetwork& network = evaluated_.network_of(batch);
      steps.push_back({network.network(), network.evaluation_step(*resident_), times});
    };
    add(evaluated_.batch_size, rows / evaluated_.batch_size);
    add(rows % evaluated_.batch_size, 1);
    backend_.prepare();
    return steps;
  }

  // Every batch once, in the data set's order from `first` on.
  template <typename RunStep>
  void run(std::vector<SizedStep>& steps, std::int64_t first, RunStep run_step) {
    if (!steps.empty()) resident_->set_order(sequential_order(count_), first);
    const FinishOnExit finish(backend_);
    for (SizedStep& sized : steps) run_step(sized);
    backend_.synchronize();  // reports what `finish` would have to swallow
  }

  Backend& backend_;
  Metrics& metrics_;
  EvaluatedModel evaluated_;
  std::int64_t count_;
  BatchShare share_;  // of the data set, this process's
  std::int64_t classes_;
  std::unique_ptr<ResidentDataset> resident_;
  std::vector<SizedStep> share_steps_;
};

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

std::unique_ptr<Evaluator> make_evaluator(const EvaluatedModel& evaluated, const Dataset& dataset) {
  check_dataset_of(evaluated.model, dataset);
  return std::make_unique<EvaluationPass>(evaluated, dataset);
}

}  // namespace convoy
