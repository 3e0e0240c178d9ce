// The pickle inside a checkpoint, which describes the tensors. These are pure functions of bytes in memory.
// The caller reads and writes the archive with the storages.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "convoy/host_tensor.h"
#include "engine/io/unpickler.h"

namespace convoy {

/// Returns the bytes of storage `key`. Throws Error if there is none.
using StorageReader = std::function<std::string(std::string_view key)>;

struct PickledState {
  StateDict state;
  std::string place;  // of a state dict within a training checkpoint: "model" in quotes; else empty
};

/// The state dict that `pickle` describes, in the same order: the dict itself, or the only dict of tensors
/// that it holds, one or two levels below. `max_elements` limits the elements of all tensors together. The
/// file's size alone does not limit them, because tensors may share a storage. Throws Error that names the
/// tensor.
PickledState state_from_pickle(std::string_view pickle, const StorageReader& read_storage,
                               std::uint64_t max_elements);

/// Where in a pickle that state dict is.
struct StatePlace {
  const pickle::Object* dict;
  std::string place;  // as PickledState has it
};

/// The place of that state dict. Throws Error, as state_from_pickle does, where there is none, or several.
StatePlace state_place(const pickle::Document& document);

/// The pickle of an OrderedDict of contiguous tensors. Tensor k is in storage "k". Throws Error if two
/// tensors have the same name, if a name is not a tensor name (see is_tensor_name), or if the number of
/// values is not that of the shape.
std::string state_to_pickle(const StateDict& state);

/// The bytes of a tensor's storage, row-major and little-endian. Throws Error that names the tensor if a
/// value does not fit the type: a fraction or a value out of range for an integer, a finite value that
/// float32 cannot hold.
std::string storage_bytes(const StateDict::value_type& entry);

}  // namespace convoy
