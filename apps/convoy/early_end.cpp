#include "apps/convoy/early_end.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <limits>

#include "apps/convoy/flags.h"
#include "apps/convoy/train_report.h"
#include "convoy/error.h"

namespace convoy {
namespace {

bool has_number(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_number();
}

bool has_epoch(const Json& object, const char* key) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40;  // as the trainer's position
  return has_number(object, key) && object[key].is_number_unsigned() &&
         object[key].get<std::uint64_t>() <= kMost;
}

}  // namespace

CLI::Validator percent() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0.0;
    if (CLI::detail::lexical_cast(text, value) && value > 0.0 && value <= 100.0) return "";
    return fmt::format("'{}' is not a percentage, as 99 or 99.5", text);
  };
  return {check, "PERCENT"};
}

bool reaches(double accuracy, double percent) {
  // The accuracy, the percentage and their quotient are each rounded, by half an epsilon at most. Accuracies
  // of other counts are farther away: by one image.
  constexpr double kRounding = 4 * std::numeric_limits<double>::epsilon();
  return accuracy >= percent / 100.0 * (1.0 - kRounding);
}

void add_early_end_flags(CLI::App& command, EarlyEndOptions& flags, TrainOptions& options) {
  command
      .add_option(
          "--patience", flags.patience,
          "End when the accuracy on the images of --validation has not become better for N epochs, as "
          "EarlyStopping of Keras and PyTorch Lightning; 0: never")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--stop-at", flags.stop_at,
                  "End when the accuracy on the test images reaches that, looked at behind each epoch and as "
                  "--test-every says; the time for it is no training time")
      ->option_text("PERCENT")
      ->check(percent());
  command
      .add_option("--test-every", options.pause_every,
                  "Tell the accuracy on the test images after every N steps, and behind each epoch; 0: not")
      ->check(at_least(0))
      ->capture_default_str();
}

void check_early_end(const EarlyEndOptions& options, std::int64_t validation) {
  if (options.patience > 0 && validation == 0) {
    throw UsageError("--patience needs --validation N, as --validation 5000");
  }
}

Json describe(const EarlyEndOptions& early, const TrainOptions& options) {
  return {{"patience", early.patience},
          {"stop_at", early.stop_at > 0.0 ? Json(early.stop_at) : Json()},
          {"test_every", options.pause_every}};
}

void TrainingClock::start() {
  evaluation_before_ = evaluation_;
  start_ = Clock::now();
}

void TrainingClock::stop() {
  earlier_ = training();
  start_.reset();
}

double TrainingClock::training() const {
  if (!start_) return earlier_;
  return earlier_ + seconds_of(Clock::now() - *start_) - (evaluation_ - evaluation_before_);
}

void TrainingClock::restore(double training, double evaluation) {
  earlier_ = training;
  evaluation_ = evaluation;
}

EarlyEnd::EarlyEnd(Trainer& trainer, const EarlyEndOptions& options, const Dataset& test, bool tests)
    : trainer_(trainer), options_(options), test_(test), tests_(tests) {}

void EarlyEnd::prepare() {
  if (tests_) evaluator_ = trainer_.evaluator(test_);
  decide();
  clock_.start();
}

void EarlyEnd::after_epoch(const EpochReport& at, const std::optional<Evaluation>& validation,
                           TrainReport* report) {
  if (validation) {
    validated_ = at.epoch;
    if (!best_ || validation->accuracy > best_->accuracy) best_ = {at.epoch, validation->accuracy};
  }
  // What was stopped within the epoch has been tested just before.
  if (ended()) return;
  if (tests_) test(at, report);
  decide();
}

void EarlyEnd::after_steps(const Progress& at, TrainReport* report) {
  test(at, report);
  decide();
}

void EarlyEnd::test(const Progress& at, TrainReport* report) {
  const double training = clock_.training(), before = clock_.evaluation();
  const Evaluation evaluation = clock_.evaluate([&] { return evaluator_->evaluate(); });
  test_accuracy_ = evaluation.accuracy;
  if (report) report->tested(at, {evaluation, clock_.evaluation() - before}, training);
}

void EarlyEnd::decide() {
  if (options_.stop_at > 0.0 && test_accuracy_ && reaches(*test_accuracy_, options_.stop_at)) {
    reason_ = "stop-at";
  } else if (options_.patience > 0 && best_ && validated_ - best_->epoch >= options_.patience) {
    reason_ = "patience";
  }
  if (ended()) trainer_.stop();
}

void EarlyEnd::tell(TrainReport& report) const {
  if (reason_ == "stop-at") {
    report.ended(reason_, fmt::format("the test accuracy of {:.2f} % reaches --stop-at {}",
                                      100.0 * *test_accuracy_, options_.stop_at));
  } else if (reason_ == "patience") {
    report.ended(reason_,
                 fmt::format("--patience {}: the best accuracy on the images held out is epoch {}'s, "
                             "{:.2f} %",
                             options_.patience, best_->epoch, 100.0 * best_->accuracy));
  }
}

Json EarlyEnd::memory() const {
  return {{"best_epoch", best_ ? Json(best_->epoch) : Json()},
          {"best_accuracy", best_ ? Json(best_->accuracy) : Json()},
          {"validated", validated_},
          {"test_accuracy", test_accuracy_ ? Json(*test_accuracy_) : Json()},
          {"training_seconds", clock_.training()},
          {"evaluation_seconds", clock_.evaluation()}};
}

void EarlyEnd::restore(const Json& memory) {
  if (memory.is_null()) return;
  const bool has_best = has_number(memory, "best_accuracy");
  const bool good = has_epoch(memory, "validated") && has_number(memory, "training_seconds") &&
                    has_number(memory, "evaluation_seconds") && has_best == has_epoch(memory, "best_epoch");
  if (!good) throw Error("what the state knows of an early end is malformed: it is damaged");
  validated_ = memory["validated"].get<std::int64_t>();
  if (has_best) best_ = {memory["best_epoch"].get<std::int64_t>(), memory["best_accuracy"].get<double>()};
  if (has_number(memory, "test_accuracy")) test_accuracy_ = memory["test_accuracy"].get<double>();
  clock_.restore(memory["training_seconds"].get<double>(), memory["evaluation_seconds"].get<double>());
}

}  // namespace convoy
