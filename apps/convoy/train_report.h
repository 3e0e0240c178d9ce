// The output of `convoy train`: lines and a progress bar for people, or JSON events for programs.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "apps/convoy/run_log.h"
#include "apps/convoy/step_timing.h"
#include "apps/convoy/terminal.h"
#include "convoy/profile.h"
#include "convoy/trainer.h"

namespace convoy {

/// An evaluation, and the time that it took.
struct TimedEvaluation {
  Evaluation result;
  double seconds = 0.0;

  double images_per_second() const { return static_cast<double>(result.samples) / seconds; }
};

class TrainReport {
 public:
  virtual ~TrainReport() = default;
  /// Called before training. `record` is the content of run.json without results.
  virtual void run(const Json& record) = 0;
  /// Behind that, where an earlier training goes on: the file of its state (empty: there is none), and where
  /// it goes on.
  virtual void resumed(const std::filesystem::path& state, const TrainingPosition& at) = 0;
  /// `seconds` is the time from the program's start until the device had finished the first step. `plans`
  /// sums up what was planned, and is empty for a backend that plans nothing.
  virtual void first_step(double seconds, const std::string& plans) = 0;
  virtual void profile(const StepProfile& profile, const std::filesystem::path& trace) = 0;
  virtual void progress(const Progress& progress) = 0;  // after every step
  virtual void step(const StepReport& report) = 0;
  virtual void epoch(const EpochReport& report) = 0;
  /// Behind an epoch, with the images that are held out.
  virtual void validated(const EpochReport& epoch, const Evaluation& evaluation) = 0;
  /// Between steps or behind an epoch, on the test images, after so many seconds of training alone.
  virtual void tested(const Progress& at, const TimedEvaluation& evaluation, double training_seconds) = 0;
  /// Behind the training, if it ended before its last epoch: "patience" or "stop-at", and why in words.
  virtual void ended(const std::string& by, const std::string& why) = 0;
  virtual void evaluated(const TimedEvaluation& evaluation) = 0;
  /// Called at the end. `results` is the part of run.json with the results.
  virtual void done(const Json& results) = 0;
};

/// `device_bytes` tells what the device has allocated, for the progress bar; 0: it has no memory of its own.
std::unique_ptr<TrainReport> make_text_report(std::function<std::uint64_t()> device_bytes);
std::unique_ptr<TrainReport> make_json_report();
/// Gives each event to `emit`.
std::unique_ptr<TrainReport> make_json_report(std::function<void(const Json&)> emit);

/// Tells both.
std::unique_ptr<TrainReport> make_both_reports(std::unique_ptr<TrainReport> first,
                                               std::unique_ptr<TrainReport> second);

/// Tells `report`, and writes the events of make_json_report to the log, which must outlive it.
std::unique_ptr<TrainReport> make_logged_report(std::unique_ptr<TrainReport> report, RunLog& log);

}  // namespace convoy
