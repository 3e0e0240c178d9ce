// Times a training step as a whole, and its operations one by one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/data/dataset.h"
#include "engine/model/model.h"

namespace convoy {

/// Measurements of one thing, in milliseconds.
class Samples {
 public:
  void add(double value) { values_.push_back(value); }
  std::size_t size() const { return values_.size(); }

  /// 0: the smallest, 0.5: the median, 1: the largest; of the nearest rank. There must be a sample.
  double quantile(double part) const {
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(std::lround(part * static_cast<double>(sorted.size() - 1)))];
  }

 private:
  std::vector<double> values_;
};

struct StepTimingOptions {
  std::int64_t batch_size = 100;
  std::int64_t steps = 200;
  std::int64_t warmup = 20;
};

/// Medians of one operation.
struct LayerTiming {
  std::string name;
  std::string type;
  double forward_ms = 0.0;
  double backward_ms = 0.0;
  bool has_backward = true;
};

struct StepTiming {
  Samples step_ms;
  std::vector<LayerTiming> layers;  // in forward order, with batch assembly, loss and optimizer
};

/// Trains for warmup + steps steps and times the latter, then as many again operation by operation. The data
/// set has a batch at least. Throws what the engine throws.
StepTiming time_step(Backend& backend, const Model& model, const Dataset& dataset,
                     const StepTimingOptions& options);

}  // namespace convoy
