/// @file
/// A training as values: all that it takes to go on from where it was and to get the same bits.
#pragma once

#include <cstdint>

#include "convoy/host_tensor.h"
#include "convoy/metrics.h"

namespace convoy {

/// Where a training is, between two steps.
struct TrainingPosition {
  std::int64_t epoch = 1;  ///< the running one, from 1; behind the last epoch one more than there are
  std::int64_t step = 0;   ///< of that epoch, how many have been done
  bool settled = false;    ///< behind the last epoch: see TrainOptions::settle_batches; nothing is left to do

  bool operator==(const TrainingPosition&) const = default;
};

/// Made by Trainer::snapshot, for Trainer::restore. The options and the data set are not in it: whoever goes
/// on brings the same ones.
struct TrainingSnapshot {
  StateDict model;           ///< Trainer::state()
  StateDict optimizer;       ///< its tensors: "exp_avg.layer1.0.weight", PyTorch's name and the parameter's
  std::int64_t counter = 0;  ///< steps that the trainer has done: StepCounter's number
  std::int64_t average_count = 0;  ///< how many times' weights have been averaged
  StateDict average;               ///< their mean, under the parameters' names; empty if there were none
  TrainingPosition position;
  MetricsReading metrics;  ///< of the running epoch so far

  bool operator==(const TrainingSnapshot&) const = default;
};

}  // namespace convoy
