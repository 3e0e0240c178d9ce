// Where the time of a step goes: its parts one by one, on the device's own clock.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/train/step.h"

namespace convoy {

/// Measurements of one thing, in milliseconds.
class Samples {
 public:
  void add(double value) { values_.push_back(value); }
  std::size_t size() const { return values_.size(); }
  const std::vector<double>& values() const { return values_; }

  /// 0: the smallest, 0.5: the median, 1: the largest; of the nearest rank. There must be a sample.
  double quantile(double part) const;

 private:
  std::vector<double> values_;
};

/// One part of a step: a sample a step.
struct PartProfile {
  std::string name;
  std::string type;
  Pass pass = Pass::forward;
  std::string label;
  Samples start_ms;  // since the profile began
  Samples duration_ms;
};

struct StepProfile {
  std::vector<PartProfile> parts;  // in the order of execution
  Samples step_ms;

  /// Events of the Trace Event Format, as chrome://tracing and ui.perfetto.dev read it: steps on one row,
  /// their parts on another.
  std::string chrome_trace() const;
};

/// Runs steps part by part, with a mark between any two. On a GPU the marks are CUDA events: a part's time
/// ends when its work ends, and begins when the device has passed the mark before, so where the device waits
/// for the host to launch, it holds that wait, too.
class StepProfiler {
 public:
  /// Both must outlive this.
  StepProfiler(Backend& backend, const Step& step);

  void run_step();

  /// Waits for the device. There must be a step.
  StepProfile result() const;

 private:
  using Marks = std::vector<std::unique_ptr<TimeMark>>;

  Backend& backend_;
  const Step& step_;
  std::vector<Marks> steps_;  // one mark before each part, and one behind the last
};

}  // namespace convoy
