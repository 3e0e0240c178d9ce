// Trainings that differ in their seed alone, in one process.
#pragma once

#include <chrono>
#include <memory>

#include "apps/convoy/terminal.h"
#include "apps/convoy/train_data.h"
#include "apps/convoy/train_flags.h"
#include "convoy/process_group.h"

namespace convoy {

/// What the trainings have in common. All that it refers to must outlive them.
struct SeedTrainings {
  const CLI::App& command;
  const TrainFlags& flags;  // of the command, with --seeds
  const TrainData& data;
  std::shared_ptr<Communicator> group;  // of one process
};

/// Trains with each seed in a folder of its own, to the bits of its single run: on a GPU several at a time,
/// each with a backend of its own, that take turns behind every launch. What has finished in its folder by
/// the same flags counts, and what did not goes on there. A seed that fails leaves the others alone. Throws
/// UsageError for a folder that holds another training, Interrupted when all that ran are saved, Error at the
/// end if any has failed.
void train_seeds(const SeedTrainings& trainings);

}  // namespace convoy
