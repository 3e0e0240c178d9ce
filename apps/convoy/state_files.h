// The saved states of a training, in the subfolder `states` of its folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "convoy/checkpoint.h"

namespace convoy {

inline constexpr const char* kStatesFolder = "states";

/// The file of the state after so many steps of the whole training: "states/step-00001200.ckpt".
std::filesystem::path state_file(const std::filesystem::path& run, std::int64_t steps);

/// All of them, the newest first.
std::vector<std::filesystem::path> state_files(const std::filesystem::path& run);

/// A state, and where it lay.
struct FoundState {
  std::filesystem::path file;
  SavedTraining training;
};

/// The newest state that can be read; nothing if there is none at all. A damaged one is named in a note and
/// passed over. Throws Error if all are damaged.
std::optional<FoundState> newest_state(const std::filesystem::path& run);

/// Renames the states that are newer than `file`, all of them damaged, to "... .damaged": they neither count
/// nor hide what is written from there on.
void put_newer_states_aside(const std::filesystem::path& run, const std::filesystem::path& file);

/// Removes all but the `keep` newest.
void remove_old_states(const std::filesystem::path& run, std::size_t keep);

}  // namespace convoy
