/// @file
/// Tensors in the safetensors format: a header of JSON that names them, then their bytes.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "convoy/host_tensor.h"

namespace convoy {

/// What a file says beside its tensors, as `__metadata__`: text by name.
using SafetensorsMetadata = std::map<std::string, std::string>;

/// What a safetensors file holds.
struct SafetensorsFile {
  StateDict state;               ///< in the order of the file's header
  SafetensorsMetadata metadata;  ///< empty if it has none
};

/// Writes a state dict that every reader of safetensors reads: float32 tensors as F32, int32 as I32, int64 as
/// I64, each at a multiple of its element's size, behind a header that is padded to a multiple of 8. The file
/// appears whole or not at all, as with save_checkpoint. Throws Error if the file cannot be written, if two
/// tensors have the same name or one is named `__metadata__`, if a value does not fit its type, and for
/// metadata that is not UTF-8.
void save_safetensors(const StateDict& state, const std::filesystem::path& file,
                      const SafetensorsMetadata& metadata = {});

/// Reads a safetensors file. F32, F16, BF16 and F64 become float32 with their values kept, as by
/// load_checkpoint; I32 and I64 stay. The format's rules are enforced: a header of at most 100,000,000 bytes
/// that begins with `{`, no key twice, sizes that agree with type, shape and file, tensors that follow each
/// other without holes or overlaps. Convoy's own limits are 100,000 tensors of 64 dimensions, 10,000 entries
/// of metadata, numbers of 63 bits, names of 64 KiB without control characters, and no more about a tensor
/// than the format has. Throws Error that names the file, the tensor, and what is wrong.
SafetensorsFile load_safetensors(const std::filesystem::path& file);

/// The metadata alone, without reading a tensor; empty for a file that is not safetensors. Throws Error as
/// load_safetensors.
SafetensorsMetadata read_safetensors_metadata(const std::filesystem::path& file);

}  // namespace convoy
