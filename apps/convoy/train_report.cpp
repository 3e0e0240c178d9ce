#include "apps/convoy/train_report.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <string>
#include <utility>

#include "apps/convoy/averaging.h"

namespace convoy {
namespace {

/// A loss is never negative, but a NaN may have a sign, which would be printed.
double without_sign(double loss) { return std::abs(loss); }

/// The decimal number of the fewest digits that is this float: 0.001, not 0.0010000000474974513.
double shortest(double rate) { return std::stod(fmt::format("{}", static_cast<float>(rate))); }

class TextReport : public TrainReport {
 public:
  explicit TextReport(std::function<std::uint64_t()> device_bytes) : device_bytes_(std::move(device_bytes)) {}

  void run(const Json& record) override {
    const auto text = [&](const char* key) { return record[key].get<std::string>(); };
    put(fmt::format("data    {}, {} training and {} test images ({})\n", text("dataset"),
                    record["train_samples"].get<std::int64_t>(), record["test_samples"].get<std::int64_t>(),
                    text("data_found")));
    put(fmt::format("model   {}, {} parameters\n", text("model"), record["parameters"].get<std::int64_t>()));
    put(fmt::format("device  {} ({})\n", text("device_description"), text("device_reason")));
    if (const auto processes = record["processes"].get<std::int64_t>(); processes > 1) {
      put(fmt::format("group   {} processes ({}), {} images a step\n", processes, text("group"),
                      processes * record["batch_size"].get<std::int64_t>()));
    }
    put(fmt::format("weights {}\n", weights_in_words(record)));
    if (const std::string schedule = text("schedule"); schedule != "constant") {
      put(fmt::format("rate    {}, then by {}\n", record["learning_rate"].get<double>(), schedule));
    }
    std::fflush(stdout);
  }

  void resumed(const std::filesystem::path& state, const TrainingPosition& at) override {
    if (state.empty()) return line("resume  from the beginning: no state was saved");
    line(fmt::format("resume  {}: epoch {} {}", state.string(), at.epoch,
                     at.step == 0 ? "from its beginning" : fmt::format("behind step {}", at.step)));
  }

  void first_step(double seconds, const std::string& plans) override {
    line(fmt::format("First step done after {:.2f} s{}", seconds, plans.empty() ? "" : ": " + plans));
  }

  void profile(const StepProfile& profile, const std::filesystem::path& trace) override {
    line(fmt::format("Profile of {} steps, median {:.3f} ms, part by part on the device's clock:",
                     profile.step_ms.size(), profile.step_ms.quantile(0.5)));
    put(layer_table(layer_timings(profile)));
    line(fmt::format("Wrote {} for chrome://tracing or ui.perfetto.dev", trace.string()));
  }

  void progress(const Progress& progress) override {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_draw_) return;
    next_draw_ = now + std::chrono::milliseconds(100);  // as often as an eye can follow
    const auto steps = static_cast<double>(progress.steps);
    const double epochs_done =
        static_cast<double>(progress.epoch - 1) + static_cast<double>(progress.step) / steps;
    const double fraction = epochs_done / static_cast<double>(progress.epochs);
    // Before the first step, which is launched alone; above 0 where a training goes on.
    if (begin_ < 0.0) begin_ = fraction - 1.0 / (steps * static_cast<double>(progress.epochs));
    const double ran = fraction - begin_;
    const auto known = [](const std::string& text, bool is_known) { return is_known ? text : ""; };
    const std::uint64_t memory = device_bytes_ ? device_bytes_() : 0;
    const bool measured = progress.images_per_second > 0.0;  // not before the first loss
    // The rate is the schedule's of this step, and in a launch of many steps of its last.
    bar_.draw(fraction,
              {known(fmt::format("loss {:.3f}", without_sign(loss_)), measured),
               known(fmt::format("acc {:.1f} %", 100.0 * accuracy_), measured),
               fmt::format("lr {:.3g}", progress.learning_rate),
               known(fmt::format("{:.0f} images/s", progress.images_per_second), measured),
               known(fmt::format("{:.0f} MiB", static_cast<double>(memory) / (1 << 20)), memory > 0),
               duration(progress.seconds * (1.0 - fraction) / ran) + " left"},
              {5, 0, 1, 3, 2, 4});
  }

  void step(const StepReport& report) override {
    loss_ = report.loss;
    accuracy_ = report.accuracy;
    line(fmt::format("Epoch [{}/{}], Step [{}/{}], Loss: {:.4f}", report.epoch, report.epochs, report.step,
                     report.steps, without_sign(report.loss)));
  }

  void epoch(const EpochReport& report) override {
    const std::string end = report.step == report.steps
                                ? "done"
                                : fmt::format("ended with step {} of {}", report.step, report.steps);
    line(bold(fmt::format("Epoch [{}/{}] {}: mean loss {:.4f}, training accuracy {:.2f} %, {:.0f} images/s",
                          report.epoch, report.epochs, end, without_sign(report.loss),
                          100.0 * report.accuracy, report.images_per_second)));
  }

  void validated(const EpochReport& at, const Evaluation& evaluation) override {
    line(fmt::format("Epoch [{}/{}]: accuracy on the {} images held out: {:.2f} %", at.epoch, at.epochs,
                     evaluation.samples, 100.0 * evaluation.accuracy));
  }

  void tested(const Progress& at, const TimedEvaluation& evaluation, double training_seconds) override {
    line(fmt::format("Epoch [{}/{}], Step [{}/{}]: test accuracy {:.2f} % after {:.2f} s of training",
                     at.epoch, at.epochs, at.step, at.steps, 100.0 * evaluation.result.accuracy,
                     training_seconds));
  }

  void ended(const std::string&, const std::string& why) override {
    line(fmt::format("Ended early: {}", why));
  }

  void evaluated(const TimedEvaluation& evaluation) override {
    line(bold(fmt::format("Test accuracy of the model on the {} test images: {:.2f} %",
                          evaluation.result.samples, 100.0 * evaluation.result.accuracy)));
  }

  void done(const Json& results) override {
    line(fmt::format("Trained in {:.1f} s; wrote {}", results["seconds"].get<double>(),
                     results["checkpoint"].get<std::string>()));
  }

 private:
  void line(const std::string& text) {
    bar_.clear();
    put(text + "\n");
    std::fflush(stdout);
  }

  std::function<std::uint64_t()> device_bytes_;
  ProgressBar bar_;
  double loss_ = 0.0, accuracy_ = 0.0;  // of the last line of loss, and of the epoch up to there
  double begin_ = -1.0;
  std::chrono::steady_clock::time_point next_draw_{};
};

class JsonReport : public TrainReport {
 public:
  explicit JsonReport(std::function<void(const Json&)> emit) : emit_(std::move(emit)) {}

  void run(const Json& record) override { event("run", record); }

  void resumed(const std::filesystem::path& state, const TrainingPosition& at) override {
    event("resume", {{"state", state.string()}, {"epoch", at.epoch}, {"step", at.step}});
  }

  void first_step(double seconds, const std::string& plans) override {
    event("first_step", {{"seconds", seconds}, {"plans", plans}});
  }

  void profile(const StepProfile& profile, const std::filesystem::path& trace) override {
    event("profile", {{"steps", profile.step_ms.size()},
                      {"ms_per_step_median", profile.step_ms.quantile(0.5)},
                      {"layers", to_json(layer_timings(profile))},
                      {"trace", trace.string()}});
  }

  void progress(const Progress&) override {}

  void step(const StepReport& report) override {
    Json object = where(report);
    object["loss"] = report.loss;
    object["accuracy"] = report.accuracy;
    object["learning_rate"] = shortest(report.learning_rate);
    event("step", add_speed(object, report.images_per_second, report.seconds));
  }

  void epoch(const EpochReport& report) override {
    Json object = where(report);
    object["loss"] = report.loss;
    object["accuracy"] = report.accuracy;
    object["learning_rate"] = shortest(report.learning_rate);
    event("epoch", add_speed(object, report.images_per_second, report.seconds));
  }

  void validated(const EpochReport& at, const Evaluation& evaluation) override {
    Json object = where(at);
    object.update(
        {{"samples", evaluation.samples}, {"loss", evaluation.loss}, {"accuracy", evaluation.accuracy}});
    event("validation", object);
  }

  void tested(const Progress& at, const TimedEvaluation& evaluation, double training_seconds) override {
    Json object = where(at);
    object.update({{"samples", evaluation.result.samples},
                   {"loss", evaluation.result.loss},
                   {"accuracy", evaluation.result.accuracy},
                   {"seconds", evaluation.seconds},
                   {"training_seconds", training_seconds}});
    event("test", object);
  }

  void ended(const std::string& by, const std::string& why) override {
    event("ended", {{"by", by}, {"why", why}});
  }

  void evaluated(const TimedEvaluation& evaluation) override {
    Json object = {{"samples", evaluation.result.samples},
                   {"loss", evaluation.result.loss},
                   {"accuracy", evaluation.result.accuracy}};
    event("eval", add_speed(object, evaluation.images_per_second(), evaluation.seconds));
  }

  void done(const Json& results) override { event("done", results); }

 private:
  static Json where(const Progress& progress) {
    return {{"epoch", progress.epoch},
            {"epochs", progress.epochs},
            {"step", progress.step},
            {"steps", progress.steps}};
  }

  static Json add_speed(Json object, double images_per_second, double seconds) {
    object["images_per_second"] = images_per_second;
    object["seconds"] = seconds;
    return object;
  }

  void event(const char* name, const Json& members) {
    Json object = {{"event", name}};
    object.update(members);
    emit_(object);
  }

  std::function<void(const Json&)> emit_;
};

/// Tells two.
class BothReports : public TrainReport {
 public:
  BothReports(std::unique_ptr<TrainReport> first, std::unique_ptr<TrainReport> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  void run(const Json& record) override { tell(&TrainReport::run, record); }
  void resumed(const std::filesystem::path& state, const TrainingPosition& at) override {
    tell(&TrainReport::resumed, state, at);
  }
  void first_step(double seconds, const std::string& plans) override {
    tell(&TrainReport::first_step, seconds, plans);
  }
  void profile(const StepProfile& profile, const std::filesystem::path& trace) override {
    tell(&TrainReport::profile, profile, trace);
  }
  void progress(const Progress& progress) override { tell(&TrainReport::progress, progress); }
  void step(const StepReport& report) override { tell(&TrainReport::step, report); }
  void epoch(const EpochReport& report) override { tell(&TrainReport::epoch, report); }
  void validated(const EpochReport& epoch, const Evaluation& evaluation) override {
    tell(&TrainReport::validated, epoch, evaluation);
  }
  void tested(const Progress& at, const TimedEvaluation& evaluation, double training_seconds) override {
    tell(&TrainReport::tested, at, evaluation, training_seconds);
  }
  void ended(const std::string& by, const std::string& why) override { tell(&TrainReport::ended, by, why); }
  void evaluated(const TimedEvaluation& evaluation) override { tell(&TrainReport::evaluated, evaluation); }
  void done(const Json& results) override { tell(&TrainReport::done, results); }

 private:
  template <typename... Parameters, typename... Values>
  void tell(void (TrainReport::*what)(Parameters...), const Values&... values) {
    ((*first_).*what)(values...);
    ((*second_).*what)(values...);
  }

  std::unique_ptr<TrainReport> first_;
  std::unique_ptr<TrainReport> second_;
};

}  // namespace

std::unique_ptr<TrainReport> make_text_report(std::function<std::uint64_t()> device_bytes) {
  return std::make_unique<TextReport>(std::move(device_bytes));
}
std::unique_ptr<TrainReport> make_json_report() { return make_json_report(emit); }
std::unique_ptr<TrainReport> make_json_report(std::function<void(const Json&)> emit) {
  return std::make_unique<JsonReport>(std::move(emit));
}

std::unique_ptr<TrainReport> make_both_reports(std::unique_ptr<TrainReport> first,
                                               std::unique_ptr<TrainReport> second) {
  return std::make_unique<BothReports>(std::move(first), std::move(second));
}

std::unique_ptr<TrainReport> make_logged_report(std::unique_ptr<TrainReport> report, RunLog& log) {
  return make_both_reports(std::move(report),
                           make_json_report([&log](const Json& event) { log.write(event); }));
}

}  // namespace convoy
