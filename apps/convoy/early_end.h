// What ends a training before its last epoch: --patience and --stop-at, and the tests that this takes. Where
// several processes train together each of them has one, and all decide alike: what they see are sums over
// all of them.
#pragma once

#include <CLI/App.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "apps/convoy/terminal.h"
#include "convoy/trainer.h"

namespace convoy {

class TrainReport;
class Validation;

struct EarlyEndOptions {
  std::int64_t patience = 0;  // epochs; 0: all that there are
  double stop_at = 0.0;       // percent of the test images; 0: nowhere

  bool tests(const TrainOptions& options) const { return stop_at > 0.0 || options.pause_every > 0; }
};

/// --patience, --stop-at and --test-every, which is TrainOptions::pause_every.
void add_early_end_flags(CLI::App& command, EarlyEndOptions& flags, TrainOptions& options);

/// Accepts numbers above 0 and up to 100.
CLI::Validator percent();

/// Whether an accuracy, as a fraction, is that many percent: equality reaches it, however both were rounded.
bool reaches(double accuracy, double percent);

/// Throws UsageError for --patience without images that are held out.
void check_early_end(const EarlyEndOptions& options, std::int64_t validation);

/// The options as members of run.json.
Json describe(const EarlyEndOptions& early, const TrainOptions& options);

/// The seconds of a training, and apart from them those of the evaluations in between.
class TrainingClock {
 public:
  void start();
  void stop();
  /// Whatever `evaluate` does is no training; the device must have nothing else to do.
  template <typename Evaluate>
  auto evaluate(Evaluate evaluate) {
    const auto begin = Clock::now();
    auto result = evaluate();
    evaluation_ += seconds_of(Clock::now() - begin);
    return result;
  }

  double training() const;
  double evaluation() const { return evaluation_; }
  /// Goes on with what an earlier process has measured.
  void restore(double training, double evaluation);

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds_of(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

  std::optional<Clock::time_point> start_;
  double earlier_ = 0.0;            // before start_, or up to stop
  double evaluation_ = 0.0;         // in all
  double evaluation_before_ = 0.0;  // start_
};

class EarlyEnd {
 public:
  /// All must outlive this. `tests`: whether the test images are evaluated between steps.
  EarlyEnd(Trainer& trainer, const EarlyEndOptions& options, const Dataset& test, bool tests);

  /// Before the first step: uploads the test images, and starts the clock. What had ended before it was gone
  /// on with ends at once.
  void prepare();

  /// Behind an epoch, with what the images that are held out gave, and behind TrainOptions::pause_every
  /// steps: tests, tells it, and stops the trainer if it is time to. `report` may be null.
  void after_epoch(const EpochReport& at, const std::optional<Evaluation>& validation, TrainReport* report);
  void after_steps(const Progress& at, TrainReport* report);

  /// Behind the training: tells that it has ended early, if it has.
  void tell(TrainReport& report) const;

  bool ended() const { return !reason_.empty(); }
  /// "epochs", "patience" or "stop-at".
  std::string ended_by() const { return reason_.empty() ? "epochs" : reason_; }

  TrainingClock& clock() { return clock_; }

  /// What to go on with.
  Json memory() const;
  /// Takes that over; null is that of the beginning. Throws Error if it is something else.
  void restore(const Json& memory);

 private:
  struct Best {
    std::int64_t epoch;
    double accuracy;
  };

  void test(const Progress& at, TrainReport* report);
  void decide();

  Trainer& trainer_;
  const EarlyEndOptions options_;
  const Dataset& test_;
  bool tests_;
  std::unique_ptr<Evaluator> evaluator_;
  TrainingClock clock_;
  std::optional<Best> best_;             // of the images that are held out
  std::int64_t validated_ = 0;           // the last epoch
  std::optional<double> test_accuracy_;  // the last one
  std::string reason_;
};

}  // namespace convoy
