/// @file
/// Checkpoints (model.ckpt) in the format of `torch.save(model.state_dict())`, and whole trainings.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "convoy/host_tensor.h"
#include "convoy/muon.h"
#include "convoy/optimizer_options.h"
#include "convoy/snapshot.h"

namespace convoy {

/// Writes a state dict that `torch.load(file, weights_only=True)` reads: a zip archive of uncompressed
/// entries with a pickle of protocol 2. float32 tensors become FloatStorage, int32 IntStorage, int64
/// LongStorage. The file appears whole or not at all: on a failure an older file of that name keeps its
/// content, and Error is thrown.
void save_checkpoint(const StateDict& state, const std::filesystem::path& file);

/// Reads a state dict that Convoy or PyTorch saved: a dict or OrderedDict of contiguous or strided tensors of
/// float16, bfloat16, float32, float64, int32 or int64, in the zip archive of PyTorch 1.6 and newer or in the
/// format of before. In a training checkpoint, it is the only dict of tensors; then `say` is called with a
/// line that tells where it was. A safetensors file is read, too (see load_safetensors); the content tells
/// what a file is, not its name. Nothing that the file names is imported or called. Throws Error that names
/// the file, what is wrong in it, where, and for files of another kind what to do. `match_state` (state.h)
/// brings what PyTorch saved under other names to a model.
StateDict load_checkpoint(const std::filesystem::path& file,
                          const std::function<void(const std::string& line)>& say = {});

/// A training as its file holds it.
struct SavedTraining {
  TrainingSnapshot snapshot;  ///< for Trainer::restore
  std::string notes;          ///< what the caller of save_training gave
};

/// Writes a training to one file, from which both Convoy and PyTorch go on. `torch.load(file,
/// weights_only=True)` gives a dict of `model`, a state dict; of `optimizer`, for
/// `torch.optim.Adam.load_state_dict` or that of AdamW or SGD; and of `convoy`, which has the rest, and the
/// notes. `load_checkpoint` takes the model out of it. The file appears whole or not at all, as with
/// save_checkpoint. With `muon`, which trained the snapshot's orthogonalized parameters, `optimizer` is of
/// the others, and `muon` has the state of a second optimizer, as torch.optim.Muon names it; each numbers its
/// parameters as `model.parameters()` does. Throws Error.
void save_training(const TrainingSnapshot& snapshot, const OptimizerOptions& optimizer,
                   std::string_view notes, const std::filesystem::path& file,
                   const std::optional<MuonOptions>& muon = {});

/// Reads what save_training wrote. Throws Error that names the file and what is wrong in it.
SavedTraining load_training(const std::filesystem::path& file);

}  // namespace convoy
