// The measurement behind a StepProfile.
#pragma once

#include <memory>
#include <vector>

#include "convoy/profile.h"
#include "engine/train/step.h"

namespace convoy {

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
