// The header of a safetensors file, in which every number is checked before it is used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/safetensors.h"
#include "convoy/shape.h"
#include "engine/core/file.h"
#include "engine/io/tensor_record.h"

namespace convoy {

/// A tensor as a header describes it.
struct SafetensorsTensor {
  std::string name;
  std::string type;                    // the format's name of the elements' type: "BF16"
  std::optional<ElementType> element;  // the same; none of those that are not read
  Shape shape;
  std::uint64_t begin = 0;  // of its bytes, counted from the end of the header
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  SafetensorsMetadata metadata;
  std::vector<SafetensorsTensor> tensors;  // in the header's order
};

/// Whether a file that begins with these bytes, 9 at least, is safetensors: a plausible length of a header,
/// then a brace.
bool is_safetensors(std::string_view start);

/// Parses a header whose file has `data_bytes` bytes behind it. What it returns follows the format's rules:
/// every tensor's bytes are as many as its type and shape say, and together they are all of `data_bytes`,
/// without holes or overlaps. Throws Error.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes);

/// Reads the header of a file from its beginning, and leaves the file at the first tensor's bytes. Throws
/// Error.
SafetensorsHeader read_safetensors_header(InputFile& file);

/// The numbers of the tensors in the order of their bytes in the file.
std::vector<std::size_t> in_file_order(const std::vector<SafetensorsTensor>& tensors);

/// The tensor's bytes, where `file` stands at them. Throws Error if they cannot be read.
std::string read_safetensors_bytes(const SafetensorsTensor& tensor, InputFile& file);

/// The tensor of these bytes. Throws Error for a type that is not read, and for an int64 beyond 2^53.
HostTensor safetensors_values(const SafetensorsTensor& tensor, std::string_view bytes);

}  // namespace convoy
