/// @file
/// Where the time of a step goes: its parts one by one, on the device's own clock.
#pragma once

#include <string>
#include <vector>

namespace convoy {

/// The passes of a training step.
enum class Pass { input, forward, backward, update };

/// "input", "forward", ...
const char* name_of(Pass pass);

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
  Samples start_ms;  ///< since the profile began
  Samples duration_ms;
};

struct StepProfile {
  std::vector<PartProfile> parts;  ///< in the order of execution
  Samples step_ms;

  /// Events of the Trace Event Format, as chrome://tracing and ui.perfetto.dev read it: steps on one row,
  /// their parts on another.
  std::string chrome_trace() const;
};

}  // namespace convoy
