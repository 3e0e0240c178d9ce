// Reads the tensors that a pickle describes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "convoy/host_tensor.h"
#include "engine/io/state_pickle.h"
#include "engine/io/tensor_record.h"
#include "engine/io/unpickler.h"

namespace convoy {

/// The dict that a value is, or null.
const pickle::Object* as_dict(const pickle::Value& value);

/// The call of a foreign global, which would make an object of it, or null.
const pickle::Foreign* as_foreign_object(const pickle::Value& value);

/// Whether a call of it makes a NumPy array.
bool is_numpy_array(const pickle::Foreign& foreign);

/// Whether a value can be a tensor: the call of a global that a state dict can name.
bool may_be_tensor(const pickle::Value& value);

/// A storage that several tensors share is read once.
class TensorCollector {
 public:
  /// `max_elements` limits the elements of all tensors together.
  TensorCollector(const StorageReader& read_storage, std::uint64_t max_elements)
      : read_storage_(read_storage), elements_left_(max_elements) {}

  /// Throws Error.
  HostTensor tensor(const pickle::Value& value);

  /// A dict of nothing but tensors, in its order. Throws Error that names the entry; `advice` says what to do
  /// about a file that holds something else.
  StateDict state(const pickle::Object& dict, std::string_view advice);

 private:
  struct Storage {
    StorageRecord record;
    std::string bytes;
  };

  const std::string& storage(const StorageRecord& record);

  const StorageReader& read_storage_;
  std::uint64_t elements_left_;
  std::unordered_map<std::string_view, Storage> storages_;
};

}  // namespace convoy
