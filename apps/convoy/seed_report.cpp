#include "apps/convoy/seed_report.h"

#include <fmt/format.h>

#include <cmath>

#include "apps/convoy/json_values.h"
#include "apps/convoy/statistics.h"

namespace convoy {
namespace {

/// A figure of all results, as `in_words` and the table show it.
struct Figure {
  const char* key;  // in the results
  double factor;
};
constexpr Figure kAccuracy{"accuracy", 100.0}, kLoss{"loss", 1.0}, kTraining{"training_seconds", 1.0};

double value_of(const Json& results, const Figure& figure) {
  return figure.factor * number_in(results, figure.key).value_or(std::nan(""));  // a NaN is null in a file
}

std::vector<double> values_of(const std::vector<SeedOutcome>& outcomes, const Figure& figure) {
  std::vector<double> values;
  for (const SeedOutcome& outcome : outcomes) {
    if (!outcome.results.is_null()) values.push_back(value_of(outcome.results, figure));
  }
  return values;
}

Json event_of(const SeedOutcome& outcome) {
  Json event = {{"seed", outcome.seed}, {"folder", outcome.folder.string()}, {"earlier", outcome.earlier}};
  if (outcome.results.is_null()) {
    event["failure"] = outcome.failure;
  } else {
    event.update(outcome.results);
  }
  return event;
}

Json mean_or_null(const std::vector<SeedOutcome>& outcomes, const char* key) {
  const std::vector<double> values = values_of(outcomes, {key, 1.0});
  return values.empty() ? Json() : to_json(mean_of(values));
}

}  // namespace

/// Says once what all have in common, and else moves the progress bar.
class SeedScreen::TextReport final : public TrainReport {
 public:
  TextReport(SeedScreen& screen, std::uint64_t seed) : screen_(screen), seed_(seed) {}

  void run(const Json& record) override { screen_.begin(record); }
  void resumed(const std::filesystem::path& state, const TrainingPosition&) override {
    screen_.line(
        fmt::format("seed {}  goes on from {}", seed_, state.empty() ? "its beginning" : state.string()));
  }
  void first_step(double, const std::string&) override {}
  void profile(const StepProfile&, const std::filesystem::path&) override {}
  void progress(const Progress& progress) override { screen_.draw(seed_, progress); }
  void step(const StepReport&) override {}
  void epoch(const EpochReport&) override {}
  void validated(const EpochReport&, const Evaluation&) override {}
  void tested(const Progress&, const TimedEvaluation&, double) override {}
  void ended(const std::string&, const std::string& why) override {
    screen_.line(fmt::format("seed {}  ended early: {}", seed_, why));
  }
  void evaluated(const TimedEvaluation&) override {}
  void done(const Json&) override {}

 private:
  SeedScreen& screen_;
  std::uint64_t seed_;
};

SeedScreen::SeedScreen(bool json, std::size_t seeds, bool shared, std::string words)
    : json_(json), seeds_(seeds), shared_(shared), words_(std::move(words)) {}

std::unique_ptr<TrainReport> SeedScreen::report_of(std::uint64_t seed) {
  if (!json_) return std::make_unique<TextReport>(*this, seed);
  return make_json_report([seed](const Json& event) {
    Json with_seed = {{"event", event["event"]}, {"seed", seed}};
    with_seed.update(event);
    emit(with_seed);
  });
}

void SeedScreen::begin(const Json& record) {
  if (begun_) return;
  begun_ = true;
  make_text_report(nullptr)->run(record);
  put(fmt::format("seeds   {}\n", words_));
  std::fflush(stdout);
}

void SeedScreen::draw(std::uint64_t seed, const Progress& progress) {
  const double epochs_done = static_cast<double>(progress.epoch - 1) +
                             static_cast<double>(progress.step) / static_cast<double>(progress.steps);
  fractions_[seed] = epochs_done / static_cast<double>(progress.epochs);
  double done = 0.0;
  for (const auto& [number, fraction] : fractions_) done += fraction;
  bar_.draw(done / static_cast<double>(seeds_),
            fmt::format("seed {}, epoch {} of {}", seed, progress.epoch, progress.epochs));
}

void SeedScreen::line(const std::string& text) {
  bar_.clear();
  put(text + "\n");
  std::fflush(stdout);
}

void SeedScreen::finished(const SeedOutcome& outcome) {
  fractions_[outcome.seed] = 1.0;
  if (json_) return;
  if (outcome.results.is_null())
    return line(fmt::format("seed {}  failed: {}", outcome.seed, outcome.failure));
  line(fmt::format("seed {}  test accuracy {:.2f} %, loss {:.4f}, {}", outcome.seed,
                   value_of(outcome.results, kAccuracy), value_of(outcome.results, kLoss),
                   outcome.earlier
                       ? fmt::format("had finished in {}", outcome.folder.string())
                       : fmt::format("{:.1f} s of training", value_of(outcome.results, kTraining))));
}

void SeedScreen::all(const std::vector<SeedOutcome>& outcomes, double seconds) {
  if (json_) {
    Json event = {{"event", "seeds"}, {"seeds", Json::array()}};
    for (const SeedOutcome& outcome : outcomes) event["seeds"].push_back(event_of(outcome));
    for (const char* key : {"accuracy", "loss", "training_seconds"}) event[key] = mean_or_null(outcomes, key);
    event["training_shared"] = shared_;
    event["seconds"] = seconds;
    return emit(event);
  }
  Table table({"seed", "test accuracy", "test loss", shared_ ? "training, shared" : "training", "ended by",
               "folder"});
  table.left(4);
  table.left(5);
  for (const SeedOutcome& outcome : outcomes) {
    if (outcome.results.is_null()) continue;
    table.add({std::to_string(outcome.seed), fmt::format("{:.2f} %", value_of(outcome.results, kAccuracy)),
               fmt::format("{:.4f}", value_of(outcome.results, kLoss)),
               fmt::format("{:.1f} s", value_of(outcome.results, kTraining)),
               text_in(outcome.results, "ended"), outcome.folder.string()});
  }
  const std::vector<double> accuracies = values_of(outcomes, kAccuracy);
  if (accuracies.empty()) return;
  line("\n" + table.str());
  const MeanOf accuracy = mean_of(accuracies);
  line(bold(fmt::format("Mean of {} seed{}: test accuracy {} %, loss {}, {} s of training", accuracy.count,
                        accuracy.count == 1 ? "" : "s", in_words(accuracy, 2),
                        in_words(mean_of(values_of(outcomes, kLoss)), 4),
                        in_words(mean_of(values_of(outcomes, kTraining)), 1))));
  if (shared_) line("The seconds of training are of a shared device: the other seeds' work is among them");
  if (accuracy.half_width) {
    line(fmt::format("+- is the 95 % interval of the mean: Student's t with {} degree{} of freedom",
                     accuracy.count - 1, accuracy.count == 2 ? "" : "s"));
  }
}

}  // namespace convoy
