#include "apps/convoy/report/logged_run.h"

#include <array>
#include <cmath>

#include "apps/convoy/json_values.h"
#include "apps/convoy/run_record.h"
#include "engine/core/file.h"

namespace convoy {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{512} << 20;
constexpr std::size_t kLongestLine = 1 << 20;  // a profile of hundreds of layers takes a tenth of that
constexpr double kMostEpochs = 1e6;
constexpr double kLargest = 1e30;  // beyond that nothing is drawn

/// Where an event is, by epoch.
std::optional<double> place_of(const Json& event) {
  const auto epoch = number_in(event, "epoch"), step = number_in(event, "step"),
             steps = number_in(event, "steps");
  if (!epoch || !step || !steps || *epoch < 1.0 || *epoch > kMostEpochs || *step < 0.0 || *steps < 1.0 ||
      *step > *steps) {
    return std::nullopt;
  }
  return *epoch - 1.0 + *step / *steps;
}

void add(std::vector<Point>& curve, double at, std::optional<double> value, double factor = 1.0) {
  if (value && std::abs(*value) < kLargest) curve.push_back({at, factor * *value});
}

void take_profile(LoggedRun& run, const Json& event) {
  const auto layers = event.find("layers");
  if (layers == event.end() || !layers->is_array()) return;
  run.layers.clear();
  run.profiled_step_ms = number_in(event, "ms_per_step_median");
  for (const Json& layer : *layers) {
    const auto forward = number_in(layer, "forward_ms"), backward = number_in(layer, "backward_ms");
    if (!forward || *forward < 0.0) continue;
    run.layers.push_back({text_in(layer, "name"), text_in(layer, "type"), *forward, backward});
  }
}

}  // namespace

void take_event(LoggedRun& run, const Json& event) {
  const std::string kind = text_in(event, "event");
  if (kind == "profile") return take_profile(run, event);
  const auto loss = number_in(event, "loss"), accuracy = number_in(event, "accuracy");
  if (kind == "eval") {  // behind the training
    const double at = run.epoch_loss.empty() ? 0.0 : run.epoch_loss.back().x;
    if (!run.test_loss.empty() && run.test_loss.back().x >= at) return;  // tested there already
    add(run.test_loss, at, loss);
    return add(run.test_accuracy, at, accuracy, 100.0);
  }
  const std::optional<double> at = place_of(event);
  if (!at) return;
  if (kind == "step") {
    add(run.step_loss, *at, loss);
    add(run.step_accuracy, *at, accuracy, 100.0);
    add(run.learning_rate, *at, number_in(event, "learning_rate"));
  } else if (kind == "epoch") {
    add(run.epoch_loss, *at, loss);
    add(run.epoch_accuracy, *at, accuracy, 100.0);
    if (run.learning_rate.empty() || run.learning_rate.back().x < *at) {
      add(run.learning_rate, *at, number_in(event, "learning_rate"));
    }
  } else if (kind == "validation") {
    add(run.validation_loss, *at, loss);
    add(run.validation_accuracy, *at, accuracy, 100.0);
  } else if (kind == "test") {
    add(run.test_loss, *at, loss);
    add(run.test_accuracy, *at, accuracy, 100.0);
  }
}

void take_line(LoggedRun& run, const std::string& line) {
  if (const Json event = record_of_text(line); event.is_object()) take_event(run, event);
}

LoggedRun read_log(const std::filesystem::path& file) {
  InputFile input(file);
  LoggedRun run;
  std::array<std::uint8_t, 1 << 16> buffer;
  std::string line;
  std::int64_t left = kMostBytes;
  for (std::size_t got = 0; left > 0 && (got = input.read(buffer)) > 0;
       left -= static_cast<std::int64_t>(got)) {
    for (std::size_t i = 0; i < got; ++i) {
      if (buffer[i] != '\n') {
        if (line.size() < kLongestLine) line.push_back(static_cast<char>(buffer[i]));
        continue;
      }
      if (line.size() < kLongestLine) take_line(run, line);
      line.clear();
    }
  }
  if (line.size() < kLongestLine) take_line(run, line);  // of a log that was cut off there
  return run;
}

}  // namespace convoy
