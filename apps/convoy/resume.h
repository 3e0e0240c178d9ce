// What --resume goes on from.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>

#include "apps/convoy/state_files.h"
#include "apps/convoy/terminal.h"
#include "apps/convoy/train_data.h"
#include "convoy/model.h"
#include "convoy/trainer.h"

namespace convoy {

/// What a state's file keeps beside the training itself.
struct StateNotes {
  std::uint64_t log_bytes = 0;  // of log.jsonl when it was taken
  EpochReport last;             // the last epoch that was done: loss, accuracy, speed
  Json best;                    // see Validation::best
  Json early_end = {};          // see EarlyEnd::memory

  std::string text() const;
  /// Throws Error that names the file if `text` is something else.
  static StateNotes of_text(const std::string& text, const std::filesystem::path& file);
};

/// A training that did not end.
struct Resumed {
  std::filesystem::path folder;
  Json record;                      // its run.json
  Model model;                      // its model.json
  std::optional<FoundState> state;  // the newest; nothing if it ended before the first was saved
  StateNotes notes;                 // of that state
};

/// Throws UsageError unless there is such a folder.
void require_folder(const std::filesystem::path& folder);

/// The run.json of a folder that is gone on with. Throws UsageError if there is none, or if it is damaged.
Json record_to_resume(const std::filesystem::path& folder);

/// Says how a training went that has finished. True if that is all there is to do. Throws UsageError if the
/// command line asks for something else than that training was.
bool tell_if_finished(CLI::App& command, const Json& record, const std::filesystem::path& folder);

/// Reads the rest of the folder and gives `command` its flags (see take_over_flags). Throws UsageError or
/// Error that says what is missing or damaged there.
Resumed read_resumed(CLI::App& command, const std::filesystem::path& folder, const Json& record,
                     bool changes_allowed);

/// The same without the flags, which the caller knows to be those of the folder.
Resumed read_folder(const std::filesystem::path& folder, const Json& record);

/// The checksums of the images as members of run.json.
Json checksums_of(const TrainData& data);

/// Throws UsageError unless the images of a run.json are those of another, as far as it knows.
void check_same_data(const std::filesystem::path& folder, const Json& before, const Json& now);

/// Whether both were computed by as many processes, on such a device and by that build. Of the versions count
/// those that both tell: an older Convoy told fewer.
bool same_computer(const Json& before, const Json& now);

/// Throws UsageError if the data or the number of epochs do not let the training go on, and notes what gives
/// it other bits: another device, another build.
void check_resumed(const Resumed& resumed, const Json& record, bool changes_allowed);

/// The state to restore into a training with batches of so many images, of all processes. If they were others
/// before, the epoch begins anew.
TrainingSnapshot snapshot_for(const Resumed& resumed, std::int64_t batch);

}  // namespace convoy
