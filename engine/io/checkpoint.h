// model.ckpt: what `torch.save(model.state_dict())` writes, byte formats and names alike.
#pragma once

#include <filesystem>

#include "engine/core/host_tensor.h"

namespace convoy {

/// Writes a state dict that `torch.load(file, weights_only=True)` reads (zip of stored entries, pickle
/// protocol 2). float32 tensors become FloatStorage, int32 ones IntStorage, int64 ones LongStorage. The file
/// appears whole or not at all: temporary file in the same folder, fsync, rename, fsync of the folder. Throws
/// Error.
void save_checkpoint(const StateDict& state, const std::filesystem::path& file);

/// Reads a state dict that Convoy or PyTorch (1.6 or newer) saved: contiguous or strided float32, float64,
/// float16, bfloat16 and int64 tensors in a dict or OrderedDict. Anything else (another opcode, global or
/// nesting) is refused, never executed. Throws Error that names the file and what was met where.
StateDict load_checkpoint(const std::filesystem::path& file);

}  // namespace convoy
