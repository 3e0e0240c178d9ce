// Times a training step as a whole, and its operations one by one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"
#include "engine/backend/backend.h"
#include "engine/data/dataset.h"
#include "engine/model/model.h"
#include "engine/train/profile.h"

namespace convoy {

struct StepTimingOptions {
  std::int64_t batch_size = 100;
  std::int64_t steps = 200;
  std::int64_t warmup = 20;
};

/// Medians of one operation, in milliseconds.
struct LayerTiming {
  std::string name;
  std::string type;
  double forward_ms = 0.0;
  double backward_ms = 0.0;
  bool has_backward = true;
};

/// The rows of a table of a profile: one a layer, in forward order, with batch assembly, loss and optimizer.
std::vector<LayerTiming> layer_timings(const StepProfile& profile);

/// As lines for people, with the sums, and as objects for programs.
std::string layer_table(const std::vector<LayerTiming>& layers);
Json to_json(const std::vector<LayerTiming>& layers);

struct StepTiming {
  Samples step_ms;  // one a launch: the mean of the steps in it
  std::vector<LayerTiming> layers;
  std::int64_t steps_per_launch = 1;
  std::optional<CudaGraphSize> cuda_graph;  // of one step
  MemoryUse memory;
};

/// Trains for warmup + steps steps (or a few more, to fill launches) and times the latter; then the same
/// launches again, and behind each a step that is timed operation by operation. The data set has a batch at
/// least. Throws what the engine throws.
StepTiming time_step(Backend& backend, const Model& model, const Dataset& dataset,
                     const StepTimingOptions& options);

}  // namespace convoy
