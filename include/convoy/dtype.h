/// @file
/// The element types of tensors.
#pragma once

#include <cstddef>

namespace convoy {

/// The element type of a tensor in a file, in host memory or on a device, with PyTorch's names.
enum class DType { float32, bfloat16, int8, int32, int64 };

/// Bytes of one element.
constexpr std::size_t bytes_of(DType dtype) {
  switch (dtype) {
    case DType::int8:
      return 1;
    case DType::bfloat16:
      return 2;
    case DType::float32:
    case DType::int32:
      return 4;
    case DType::int64:
      break;
  }
  return 8;
}

/// PyTorch's name of the type: "float32".
constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float32";
    case DType::bfloat16:
      return "bfloat16";
    case DType::int8:
      return "int8";
    case DType::int32:
      return "int32";
    case DType::int64:
      break;
  }
  return "int64";
}

}  // namespace convoy
