// The middle of a checkpoint: the pickle that names the tensors. Pure functions of bytes in memory; storages
// come from and go to whoever holds the archive.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/core/host_tensor.h"

namespace convoy {

/// The bytes of storage `key`. Throws Error if there is none.
using StorageReader = std::function<std::string(std::string_view key)>;

/// The state dict that `pickle` describes, in its order. `max_elements` bounds what all tensors together may
/// hold: tensors may share a storage, so the file's size alone does not. Throws Error that names the tensor.
StateDict state_from_pickle(std::string_view pickle, const StorageReader& read_storage,
                            std::uint64_t max_elements);

/// The pickle of an OrderedDict of contiguous tensors; tensor k lies in storage "k". Throws Error for two
/// tensors of one name, a name that is not UTF-8 or has control characters, or values that are not as many as
/// the shape says.
std::string state_to_pickle(const StateDict& state);

/// The bytes of a tensor's storage, row-major, little-endian. Throws Error, naming the tensor, if a value
/// does not fit its type: an integer that is none or is out of range, a finite float beyond float32.
std::string storage_bytes(const StateDict::value_type& entry);

}  // namespace convoy
