// What --resume goes on from.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>

#include "apps/convoy/state_files.h"
#include "apps/convoy/terminal.h"
#include "apps/convoy/train_data.h"
#include "convoy/model.h"

namespace convoy {

/// A training that did not end.
struct Resumed {
  std::filesystem::path folder;
  Json record;                      // its run.json
  Model model;                      // its model.json
  std::optional<FoundState> state;  // the newest; nothing if it ended before the first was saved
  Json notes = Json::object();      // of that state

  std::uint64_t log_bytes() const;
};

/// Throws UsageError unless the folder holds a training.
void require_training(const std::filesystem::path& folder);

/// Reads the folder and gives `command` its flags (see take_over_flags). Throws UsageError or Error that says
/// what is missing or damaged there.
Resumed read_resumed(CLI::App& command, const std::filesystem::path& folder, bool changes_allowed);

/// Throws UsageError if the data or the number of epochs do not let the training go on, and notes what gives
/// it other bits: another device.
void check_resumed(const Resumed& resumed, const Json& record, const TrainData& data, bool changes_allowed);

/// The state to restore. The average of weights is left out if the training has another length now: it is
/// taken from the end. Another number of processes cuts an epoch into other batches: its epoch begins anew.
TrainingSnapshot snapshot_for(const Resumed& resumed, std::int64_t epochs, std::int64_t processes);

}  // namespace convoy
