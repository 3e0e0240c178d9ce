// The pickle inside the file of a whole training: the model's state dict, the optimizer's as PyTorch has it,
// and under "convoy" the rest. Pure functions of bytes in memory, as those of state_pickle.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "convoy/checkpoint.h"
#include "engine/io/state_pickle.h"

namespace convoy {

/// A pickle and the storages that it refers to.
struct PickledFile {
  std::string pickle;
  std::vector<std::string> storages;  // "0", "1", ...
};

/// Throws Error as state_to_pickle and storage_bytes, and if the snapshot's optimizer is not a set of tensors
/// a parameter.
PickledFile training_to_pickle(const TrainingSnapshot& snapshot, const OptimizerOptions& optimizer,
                               std::string_view notes, const std::optional<MuonOptions>& muon = {});

/// Throws Error as state_from_pickle, and for a file that holds something else.
SavedTraining training_from_pickle(std::string_view pickle, const StorageReader& read_storage,
                                   std::uint64_t max_elements);

}  // namespace convoy
