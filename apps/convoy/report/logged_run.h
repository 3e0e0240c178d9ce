// What a run's log.jsonl tells, as the curves of a report.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/convoy/report/svg_chart.h"
#include "engine/model/json_text.h"

namespace convoy {

/// The curves by epoch: 1.5 is the middle of the second. Accuracies are in percent.
struct LoggedRun {
  std::vector<Point> step_loss, epoch_loss, validation_loss, test_loss;
  std::vector<Point> step_accuracy, epoch_accuracy, validation_accuracy, test_accuracy;
  std::vector<Point> learning_rate;
  /// Of a profile: milliseconds by operation.
  struct Layer {
    std::string name, type;
    double forward_ms = 0.0;
    std::optional<double> backward_ms;
  };
  std::vector<Layer> layers;
  std::optional<double> profiled_step_ms;  // the median of a whole step
};

/// Adds what an event tells. Others than those of a training, and malformed ones, are passed over.
void take_event(LoggedRun& run, const Json& event);

/// The same for one line of the log.
void take_line(LoggedRun& run, const std::string& line);

/// Reads a log. Lines that are no events are passed over, and what is behind the first 512 MiB. Throws Error
/// if the file cannot be read.
LoggedRun read_log(const std::filesystem::path& file);

}  // namespace convoy
