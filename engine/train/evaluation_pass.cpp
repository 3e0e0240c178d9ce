#include "engine/train/evaluation_pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "convoy/error.h"
#include "engine/core/arg_max.h"
#include "engine/data/order.h"
#include "engine/train/averaged_weights.h"
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

Evaluation evaluation_of(const MetricsReading& reading) {
  const auto samples = static_cast<double>(reading.samples);
  return {reading.loss_sum / samples, static_cast<double>(reading.correct) / samples, reading.samples};
}

// Rank 0 gets the logits of all, in the data set's order; the others get none.
std::vector<double> gather_shares(Communicator& group, std::vector<double> share, std::int64_t count,
                                  std::int64_t classes) {
  if (group.size() == 1) return share;
  const std::int64_t most = (count + group.size() - 1) / group.size();  // gather takes equal sizes
  share.resize(static_cast<std::size_t>(most * classes));
  const std::vector<double> padded = group.gather(share);
  std::vector<double> all;
  for (GroupPlace place = group.place(); group.leads() && place.rank < place.size; ++place.rank) {
    const auto begin = padded.begin() + place.rank * most * classes;
    all.insert(all.end(), begin, begin + even_share(count, place).rows * classes);
  }
  return all;
}

class EvaluationPass final : public Evaluator {
 public:
  EvaluationPass(const EvaluatedModel& evaluated, std::shared_ptr<DeviceDataset> uploaded, std::int64_t count,
                 const ImageView& view)
      : backend_(evaluated.state.backend),
        metrics_(*evaluated.state.metrics),
        evaluated_(evaluated),
        view_(view),
        count_(count),
        share_(even_share(count_, backend_.group().place())),
        classes_(class_count(evaluated.model)),
        uploaded_(std::move(uploaded)),
        share_steps_(steps_over(share_.rows)) {}

  Evaluation evaluate() override {
    const AveragedWeights shown(evaluated_.state);
    evaluated_.state.parameters.share_statistics();
    BorrowedMetrics borrowed(metrics_);
    run(share_steps_, share_.first, [](SizedStep& sized) { sized.step->run(sized.times); });
    const MetricsReading reading = sum_over(backend_.group(), metrics_.read());
    borrowed.give_back();
    return evaluation_of(reading);
  }

  DetailedEvaluation evaluate_in_detail() override {
    const AveragedWeights shown(evaluated_.state);
    evaluated_.state.parameters.share_statistics();
    MetricsReading reading;
    std::vector<double> logits = logits_of(share_steps_, share_.first, &reading);
    Communicator& group = backend_.group();
    return {evaluation_of(sum_over(group, reading)),
            gather_shares(group, std::move(logits), count_, classes_)};
  }

  std::vector<double> predict() override {
    const AveragedWeights shown(evaluated_.state);
    evaluated_.state.parameters.share_statistics();
    if (share_.rows == count_) return logits_of(share_steps_, 0);
    // A group's processes have steps over their shares; each of them predicts the whole.
    std::vector<SizedStep> of_group = steps_over(count_);
    return logits_of(of_group, 0);
  }

  /// The logits of the rows that are this process's.
  std::vector<double> predict_share() {
    const AveragedWeights shown(evaluated_.state);
    evaluated_.state.parameters.share_statistics();
    return logits_of(share_steps_, share_.first);
  }

  const BatchShare& share() const { return share_; }

 private:
  // `counted`, where it is not null, gets the metrics of these rows.
  std::vector<double> logits_of(std::vector<SizedStep>& steps, std::int64_t first,
                                MetricsReading* counted = nullptr) {
    BorrowedMetrics borrowed(metrics_);
    std::vector<double> logits;
    logits.reserve(static_cast<std::size_t>(count_ * classes_));
    run(steps, first, [&](SizedStep& sized) {
      for (std::int64_t i = 0; i < sized.times; ++i) {
        sized.step->run(1);
        const auto output = backend_.read(*sized.network.output().value);
        logits.insert(logits.end(), output.begin(), output.end());
      }
    });
    if (counted != nullptr) *counted = metrics_.read();
    borrowed.give_back();
    return logits;
  }

  // Whole batches and the rest.
  std::vector<SizedStep> steps_over(std::int64_t rows) {
    std::vector<SizedStep> steps;
    const auto add = [&](std::int64_t batch, std::int64_t times) {
      if (batch == 0 || times == 0) return;
      BatchNetwork& network = evaluated_.network_of(batch);
      steps.push_back({network.network(), network.evaluation_step(*uploaded_, view_), times});
    };
    add(evaluated_.batch_size, rows / evaluated_.batch_size);
    add(rows % evaluated_.batch_size, 1);
    backend_.prepare();
    return steps;
  }

  // Every batch once, in the data set's order from `first` on.
  template <typename RunStep>
  void run(std::vector<SizedStep>& steps, std::int64_t first, RunStep run_step) {
    if (!steps.empty()) uploaded_->set_order(sequential_order(count_), first);
    const FinishOnExit finish(backend_);
    for (SizedStep& sized : steps) run_step(sized);
    backend_.synchronize();  // reports what `finish` would have to swallow
  }

  Backend& backend_;
  Metrics& metrics_;
  EvaluatedModel evaluated_;
  ImageView view_;
  std::int64_t count_;
  BatchShare share_;  // of the data set, this process's
  std::int64_t classes_;
  std::shared_ptr<DeviceDataset> uploaded_;
  std::vector<SizedStep> share_steps_;
};

struct WeightedView {
  ImageView view;
  double weight;
};

// The image and its mirror image count the same; with shifts, what is moved counts half of all.
std::vector<WeightedView> views_of(const TestTimeAugmentation& augmentation) {
  std::vector<WeightedView> views;
  const auto add = [&](std::int32_t shift, double weight) {
    if (augmentation.flip) {
      views.push_back({{shift, shift, false}, weight / 2});
      views.push_back({{shift, shift, true}, weight / 2});
    } else {
      views.push_back({{shift, shift, false}, weight});
    }
  };
  add(0, augmentation.shift ? 0.5 : 1.0);
  if (augmentation.shift) {
    add(-1, 0.25);
    add(1, 0.25);
  }
  return views;
}

// A pass for each view, over one copy of the data. What is counted is counted here, from the mean logits.
class AveragedViews final : public Evaluator {
 public:
  AveragedViews(const EvaluatedModel& evaluated, const Dataset& dataset,
                const TestTimeAugmentation& augmentation)
      : group_(evaluated.state.backend.group()), labels_(dataset.labels) {
    const std::shared_ptr<DeviceDataset> uploaded = evaluated.state.backend.upload(dataset);
    for (const WeightedView& view : views_of(augmentation)) {
      passes_.push_back(
          {std::make_unique<EvaluationPass>(evaluated, uploaded, dataset.count(), view.view), view.weight});
    }
    classes_ = static_cast<std::size_t>(class_count(evaluated.model));
  }

  std::vector<double> predict() override {
    return mean_of([](EvaluationPass& pass) { return pass.predict(); });
  }

  Evaluation evaluate() override { return evaluation_of(sum_over(group_, count(share_logits()))); }

  DetailedEvaluation evaluate_in_detail() override {
    std::vector<double> logits = share_logits();
    const Evaluation total = evaluation_of(sum_over(group_, count(logits)));
    return {total, gather_shares(group_, std::move(logits), std::ssize(labels_),
                                 static_cast<std::int64_t>(classes_))};
  }

 private:
  struct WeightedPass {
    std::unique_ptr<EvaluationPass> pass;
    double weight;
  };

  std::vector<double> share_logits() {
    return mean_of([](EvaluationPass& pass) { return pass.predict_share(); });
  }

  // Of this process's rows.
  MetricsReading count(const std::vector<double>& logits) const {
    const BatchShare& share = passes_.front().pass->share();
    MetricsReading reading;
    for (std::int64_t n = 0; n < share.rows; ++n) {
      const std::span<const double> row =
          std::span(logits).subspan(static_cast<std::size_t>(n) * classes_, classes_);
      const std::size_t label = labels_[static_cast<std::size_t>(share.first + n)];
      const std::size_t best = arg_max(row);
      double sum = 0.0;
      for (const double logit : row) sum += std::exp(logit - row[best]);
      reading.loss_sum += std::log(sum) + row[best] - row[label];
      reading.correct += best == label ? 1 : 0;
    }
    reading.samples = share.rows;
    return reading;
  }

  template <typename LogitsOf>
  std::vector<double> mean_of(LogitsOf logits_of) {
    std::vector<double> mean;
    for (const WeightedPass& weighted : passes_) {
      const std::vector<double> logits = logits_of(*weighted.pass);
      mean.resize(logits.size(), 0.0);
      for (std::size_t i = 0; i < logits.size(); ++i) mean[i] += weighted.weight * logits[i];
    }
    return mean;
  }

  Communicator& group_;
  std::vector<std::uint8_t> labels_;
  std::vector<WeightedPass> passes_;
  std::size_t classes_ = 0;
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

std::unique_ptr<Evaluator> make_evaluator(const EvaluatedModel& evaluated, const Dataset& dataset,
                                          const TestTimeAugmentation& augmentation) {
  check_dataset_of(evaluated.model, dataset);
  if (augmentation != TestTimeAugmentation{}) {
    return std::make_unique<AveragedViews>(evaluated, dataset, augmentation);
  }
  return std::make_unique<EvaluationPass>(evaluated, evaluated.state.backend.upload(dataset), dataset.count(),
                                          ImageView{});
}

}  // namespace convoy
