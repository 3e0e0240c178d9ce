// Tells TensorBoard of a training.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/convoy/tensorboard/event_file.h"
#include "apps/convoy/train_report.h"
#include "convoy/dataset.h"
#include "convoy/host_tensor.h"
#include "convoy/model.h"

namespace convoy {

/// Scalars as they are reported, histograms of weights and gradients behind each epoch, and at the end images
/// of filters and mistakes. Where a file cannot be written a note says so once.
class TensorBoardReport final : public TrainReport {
 public:
  /// Nothing is written before the first call. The model and the trainer must outlive this.
  TensorBoardReport(std::filesystem::path run_folder, const Model& model, const Trainer& trainer);
  ~TensorBoardReport() override;

  void run(const Json& record) override;
  void resumed(const std::filesystem::path& state, const TrainingPosition& at) override;
  void first_step(double seconds, const std::string& plans) override;
  void profile(const StepProfile&, const std::filesystem::path&) override {}
  void progress(const Progress&) override {}
  void step(const StepReport& report) override;
  void epoch(const EpochReport& report) override;
  void validated(const EpochReport& at, const Evaluation& evaluation) override;
  void tested(const Progress& at, const TimedEvaluation& evaluation, double training_seconds) override;
  void ended(const std::string& by, const std::string& why) override;
  void evaluated(const TimedEvaluation& evaluation) override;
  void done(const Json& results) override;

  /// Behind evaluated(): the filters of the first layer, and the surest mistakes. `logits` are of `test`.
  void pictures(const StateDict& state, const Dataset& test, const std::vector<double>& logits,
                const std::vector<std::string>& class_names);

 private:
  void scalar(const std::string& tag, double value);
  void histograms(const std::string& prefix, const StateDict& tensors);
  void at(const Progress& progress);
  EventFile& file();

  std::filesystem::path run_folder_;
  const Model& model_;
  const Trainer& trainer_;
  Json record_;
  std::int64_t step_ = 0;                 // steps that have been done
  std::optional<TrainingPosition> from_;  // where it goes on, until that was told
  bool done_ = false;
  std::unique_ptr<EventFile> file_;  // made by the first step: before it a training may be refused
};

}  // namespace convoy
