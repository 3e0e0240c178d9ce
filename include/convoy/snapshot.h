/// @file
/// The whole state of a training, from which it can go on later and give the same bits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/host_tensor.h"
#include "convoy/metrics.h"

namespace convoy {

/// Where a training is, between two steps.
struct TrainingPosition {
  std::int64_t epoch = 1;  ///< the current epoch, from 1; after the last one the number of epochs plus 1
  std::int64_t step = 0;   ///< steps of that epoch that have been done
  bool settled = false;    ///< `fit` has returned: nothing is left to do

  /// Equal in all members.
  bool operator==(const TrainingPosition&) const = default;
};

/// Made by Trainer::snapshot, for Trainer::restore. The options and the data set are not in it: the Trainer
/// that goes on must have the same ones.
struct TrainingSnapshot {
  StateDict model;  ///< as it is trained: Trainer::state() but for TrainOptions::ema_decay
  /// The names of the trained tensors among them, in the order of PyTorch's `model.parameters()`.
  std::vector<std::string> parameters;
  std::vector<std::string> undecayed;       ///< those of them that weight decay spares
  std::vector<std::string> orthogonalized;  ///< and those that Muon has, see TrainOptions::muon
  /// The optimizer's tensors and Muon's, named by PyTorch's name and the parameter's:
  /// "exp_avg.layer1.0.weight".
  StateDict optimizer;
  std::int64_t counter = 0;        ///< training steps that have been done, over all calls of `fit`
  std::int64_t total_steps = 0;    ///< that the training is to have; the average is of the last of them
  std::int64_t average_count = 0;  ///< sets of weights averaged so far, see TrainOptions::swa
  StateDict average;               ///< their mean, under the parameters' names; empty if there are none
  std::int64_t ema_count = 0;      ///< steps in the moving average, see TrainOptions::ema_decay
  StateDict ema;  ///< it, under the model's names, with running statistics; empty if there is none
  TrainingPosition position;  ///< where the next `fit` goes on
  MetricsReading metrics;     ///< of the current epoch so far

  /// Equal in all members.
  bool operator==(const TrainingSnapshot&) const = default;
};

}  // namespace convoy
