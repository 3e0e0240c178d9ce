// Times a whole training step, and its operations one by one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"
#include "convoy/dataset.h"
#include "convoy/model.h"
#include "engine/backend/backend.h"
#include "engine/train/profiler.h"
#include "engine/train/roofline.h"

namespace convoy {

struct StepTimingOptions {
  std::int64_t batch_size = 100;
  std::int64_t steps = 200;
  std::int64_t warmup = 20;
};

/// Median times of one operation.
struct LayerTiming {
  std::string name;
  std::string type;
  double forward_ms = 0.0;
  double backward_ms = 0.0;
  bool has_backward = true;
};

/// One pass of an operation: its median time, and what it had to do.
struct PassTiming {
  std::string name;
  std::string type;
  Pass pass = Pass::forward;
  double ms = 0.0;
  Work work;
  std::optional<std::int64_t> launches;  // nodes of its CUDA graph; nothing where there are no CUDA graphs
};

/// The rows of a profile's table, in forward order: batch assembly, the layers, the loss and the optimizer.
std::vector<LayerTiming> layer_timings(const StepProfile& profile);

/// The rows as a table with sums for people, and as JSON for programs.
std::string layer_table(const std::vector<LayerTiming>& layers);
Json to_json(const std::vector<LayerTiming>& layers);

struct StepTiming {
  Samples step_ms;  // one sample per launch: the mean time of its steps
  std::vector<LayerTiming> layers;
  std::vector<PassTiming> passes;  // in the order of their execution
  std::int64_t steps_per_launch = 1;
  std::optional<CudaGraphSize> cuda_graph;  // of one step
  MemoryUse memory;
};

/// Trains for `warmup` steps, then for `steps` steps that are timed. Both are rounded up to whole launches.
/// On a GPU an untimed launch runs in front of each timed one, so that none waits for the host. Then does as
/// many launches again, each followed by one step whose operations are timed one by one. In a group each
/// process trains on `batch_size` images of the data set, together with the others. (Where a launch is a
/// single step, those launches are left out.) The data set must have at least one batch. Throws what the
/// engine throws.
StepTiming time_step(Backend& backend, const Model& model, const Dataset& dataset,
                     const StepTimingOptions& options);

}  // namespace convoy
