// A tensor as a checkpoint describes it: a strided view into a storage. Every number in it comes from the
// file, so all of them are checked before one is used.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/core/host_tensor.h"
#include "engine/io/unpickler.h"

namespace convoy {

/// Integers beyond it are refused, read or written: a HostTensor holds doubles.
inline constexpr std::int64_t kMaxExactInteger = std::int64_t{1} << 53;

/// What the elements of a storage are, little-endian.
enum class ElementType { float16, bfloat16, float32, float64, int32, int64 };

std::size_t element_bytes(ElementType type);

/// A storage, as its persistent id describes it; its bytes are the archive's entry data/<key>.
struct StorageRecord {
  ElementType type = ElementType::float32;
  std::string_view key;
  std::int64_t count = 0;  // elements

  bool operator==(const StorageRecord&) const = default;
};

/// Element (i, j, ...) of the tensor is the storage's element offset + i * strides[0] + j * strides[1] + ...
struct TensorRecord {
  StorageRecord storage;
  std::int64_t offset = 0;
  Shape shape;
  std::vector<std::int64_t> strides;  // elements; as many as dimensions, none negative
};

/// The tensor or parameter that `value` stands for. Holds that the shape's product fits in 63 bits and is at
/// most the storage's count, and that every element lies inside the storage. Throws Error that says what is
/// wrong.
TensorRecord tensor_record(const pickle::Value& value);

/// The tensor's elements out of its storage. Floating-point types keep their values and become float32,
/// integer types stay. `storage` must have exactly the bytes that the record promises; throws Error if it has
/// not.
HostTensor read_tensor(const TensorRecord& record, std::string_view storage);

}  // namespace convoy
