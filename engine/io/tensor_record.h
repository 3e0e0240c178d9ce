// A tensor as a checkpoint describes it: a strided view into a storage. All numbers come from the file, so
// they are checked before any is used.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "convoy/error.h"
#include "convoy/host_tensor.h"
#include "engine/io/unpickler.h"

namespace convoy {

/// Integers of a larger magnitude are neither read nor written, because a HostTensor holds doubles.
inline constexpr std::int64_t kMaxExactInteger = std::int64_t{1} << 53;

/// The most dimensions of a tensor, which is PyTorch's limit, too.
inline constexpr std::size_t kMaxTensorRank = 64;

/// Of a tensor that is sound, as far as can be told, but of a type or with values that are not read.
class NotRead : public Error {
 public:
  using Error::Error;
};

/// The type of a storage's elements, which are little-endian.
enum class ElementType { float16, bfloat16, float32, float64, int32, int64 };

std::size_t element_bytes(ElementType type);

/// The same of the storage type that `value` names, also of those that are not read; 0 if it names none.
std::int64_t storage_element_bytes(const pickle::Value& value);

/// A storage as its persistent id describes it. Its bytes are the archive's entry data/<key>.
struct StorageRecord {
  ElementType type = ElementType::float32;
  std::string_view key;
  std::int64_t count = 0;    // elements
  std::string_view foreign;  // the name of a type that is not read, in place of `type`; else empty

  bool operator==(const StorageRecord&) const = default;
};

/// Element (i, j, ...) of the tensor is element offset + i * strides[0] + j * strides[1] + ... of the
/// storage.
struct TensorRecord {
  StorageRecord storage;
  std::int64_t offset = 0;
  Shape shape;
  std::vector<std::int64_t> strides;  // in elements, one for each dimension, none negative
};

/// The tensor or parameter that `value` describes. The number of its elements fits in 63 bits and is at most
/// that of the storage, and every element lies inside the storage. Otherwise throws Error that says what is
/// wrong, or NotRead if PyTorch would read it.
TensorRecord tensor_record(const pickle::Value& value);

/// Throws NotRead for a foreign type.
void require_read_type(const StorageRecord& storage);

/// Copies the tensor's elements out of its storage. A tensor of a floating-point type becomes float32, with
/// its values kept exactly; integer types stay. Throws Error unless `storage` has exactly the bytes that the
/// record says, NotRead for a foreign type or an int64 beyond 2^53.
HostTensor read_tensor(const TensorRecord& record, std::string_view storage);

}  // namespace convoy
