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
  std::int64_t data_begin = 0;             // where in the file the tensors' bytes begin
};

/// Whether a file that begins with these bytes, 9 at least, is safetensors: a plausible length of a header,
/// then a brace.
bool is_safetensors(std::string_view start);

/// Parses a header whose file has `data_bytes` bytes behind it, all but `data_begin`. What it returns follows
/// the format's rules: every tensor's bytes are as many as its type and shape say, and together they are all
/// of `data_bytes`, without holes or overlaps. Throws Error.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes);

/// Reads the header of a file from its beginning. Throws Error.
SafetensorsHeader read_safetensors_header(InputFile& file);

/// Reads a tensor of a file whose data begin there. Throws Error if its bytes cannot be read, NotRead for a
/// type that is not read and for an int64 beyond 2^53.
HostTensor read_safetensors(const SafetensorsTensor& tensor, std::int64_t data_begin, InputFile& file);

}  // namespace convoy
