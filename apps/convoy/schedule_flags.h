// The flags of `convoy train` that say how the learning rate changes.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"
#include "convoy/optimizer_options.h"
#include "convoy/schedule.h"
#include "convoy/trainer.h"

namespace convoy {

class Communicator;  // engine/parallel/communicator.h

/// The flags as given. What is not given has PyTorch's default, except for lengths, which are the training's.
struct ScheduleFlags {
  std::string name = "constant";
  std::optional<std::string> by;  // "steps" or "epochs"
  std::int64_t length = 0;        // in those; 0: to the end
  std::optional<double> end;
  std::optional<std::int64_t> step_size;
  std::vector<std::int64_t> milestones;
  std::optional<double> gamma;
  std::optional<double> pct_start;
  std::optional<std::string> anneal;
  std::optional<double> div_factor;
  std::optional<double> final_div_factor;
  std::optional<bool> cycle_momentum;
  std::optional<double> base_momentum;
  std::optional<double> max_momentum;
  bool three_phase = false;
  std::int64_t warm_up = 0;  // in its own unit
  bool warm_up_by_epochs = false;
  std::optional<double> warm_up_factor;
};

/// All of them. `flags` must outlive the command.
void add_schedule_flags(CLI::App& command, ScheduleFlags& flags);

/// Whether a flag is of one schedule, and not taken over by another.
bool is_of_one_schedule(const std::string& flag);

/// Throws UsageError for a flag that the chosen schedule does not have, and for what cannot be with this
/// optimizer.
Schedule schedule_of(const ScheduleFlags& flags, const OptimizerOptions& optimizer);

/// Throws UsageError for a schedule that does not fit a training on so many samples: before anything is
/// written.
void check_length(const TrainOptions& options, std::int64_t samples, const Communicator& group);

/// Of run.json and of the event `run`.
Json describe(const Schedule& schedule);

}  // namespace convoy
