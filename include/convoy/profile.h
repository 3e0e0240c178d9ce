/// @file
/// Where the time of a training step goes, measured on the device's own clock.
#pragma once

#include <string>
#include <vector>

namespace convoy {

/// The passes of a training step, in their order.
enum class Pass {
  input,     ///< makes the batch from the data set
  forward,   ///< layers and loss
  backward,  ///< gradients of the loss and of the layers
  update,    ///< the optimizer
};

/// "input", "forward", "backward" or "update".
const char* name_of(Pass pass);

/// Measurements of one thing, in milliseconds.
class Samples {
 public:
  /// Appends one measurement.
  void add(double value) { values_.push_back(value); }
  /// How many there are.
  std::size_t size() const { return values_.size(); }
  /// All of them, in the order in which they were added.
  const std::vector<double>& values() const { return values_; }

  /// The sample of the nearest rank: `part` 0 is the smallest, 0.5 the median, 1 the largest. There must be
  /// at least one sample, and `part` must be from 0 to 1.
  double quantile(double part) const;

 private:
  std::vector<double> values_;
};

/// One part of a step, such as the forward pass of one layer. The samples are one for each step.
struct PartProfile {
  std::string name;           ///< of the layer: "layer1.0"; else "batch", "loss", "optimizer", ...
  std::string type;           ///< "Conv2d", "Adam"; layers that run as one are joined: "BatchNorm2d+ReLU"
  Pass pass = Pass::forward;  ///< that the part belongs to
  std::string label;          ///< unlike `name` unique in a step: "layer1.0.fprop", "layer1.0.bprop"
  Samples start_ms;           ///< since the first profiled step began
  Samples duration_ms;        ///< until the next part begins
};

/// The profile of several steps: TrainOptions::profile_steps asks for it, TrainObserver::profile gets it.
struct StepProfile {
  std::vector<PartProfile> parts;  ///< in the order of execution
  Samples step_ms;                 ///< durations of the whole steps

  /// JSON in the Trace Event Format, for chrome://tracing and ui.perfetto.dev: steps are on one row, their
  /// parts on another.
  std::string chrome_trace() const;
};

}  // namespace convoy
