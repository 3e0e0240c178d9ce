#include "engine/io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "convoy/error.h"
#include "engine/io/little_endian.h"
#include "engine/io/quote.h"
#include "engine/io/safetensors_json.h"

namespace convoy {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::size_t kLengthBytes = 8;

struct TypeName {
  std::string_view name;
  std::int64_t bits;
  std::optional<ElementType> element;
};
constexpr auto kTypes = std::to_array<TypeName>({
    {"F32", 32, ElementType::float32},
    {"F16", 16, ElementType::float16},
    {"BF16", 16, ElementType::bfloat16},
    {"F64", 64, ElementType::float64},
    {"I32", 32, ElementType::int32},
    {"I64", 64, ElementType::int64},
    {"BOOL", 8, {}},
    {"U8", 8, {}},
    {"I8", 8, {}},
    {"U16", 16, {}},
    {"I16", 16, {}},
    {"U32", 32, {}},
    {"U64", 64, {}},
    {"C64", 64, {}},
    {"F8_E5M2", 8, {}},
    {"F8_E4M3", 8, {}},
    {"F8_E8M0", 8, {}},
    {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"F4", 4, {}},
});

/// Sets the element type. Throws Error unless the tensor's bytes are as many as its type and shape say.
void check_size(SafetensorsTensor& tensor) {
  const auto* const type = std::ranges::find(kTypes, tensor.type, &TypeName::name);
  if (type == kTypes.end()) throw Error(fmt::format("its type {} is unknown", quote(tensor.type)));
  tensor.element = type->element;
  std::int64_t bits = 1;
  bool overflows = false;
  for (const std::int64_t size : tensor.shape.dimensions()) {
    overflows = overflows || __builtin_mul_overflow(bits, size, &bits);
  }
  if (overflows || __builtin_mul_overflow(bits, type->bits, &bits)) {
    throw Error(fmt::format("its shape {} overflows 63 bits", tensor.shape.str()));
  }
  if (tensor.begin > tensor.end) {
    throw Error(fmt::format("its bytes end at {}, before their beginning at {}", tensor.end, tensor.begin));
  }
  const std::uint64_t bytes = tensor.end - tensor.begin;
  if (bits % 8 != 0 || static_cast<std::uint64_t>(bits / 8) != bytes) {
    throw Error(
        fmt::format("it has {} bytes, which do not go with {} {}", bytes, tensor.type, tensor.shape.str()));
  }
}

/// The numbers of the tensors in the order of their bytes in the file.
std::vector<std::size_t> in_file_order(const std::vector<SafetensorsTensor>& tensors) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(tensors[i].begin, tensors[i].end); });
  return order;
}

/// Throws Error unless the tensors follow each other in the file and fill it.
void check_places(const std::vector<SafetensorsTensor>& tensors, std::uint64_t data_bytes) {
  std::uint64_t at = 0;
  for (const std::size_t i : in_file_order(tensors)) {
    const SafetensorsTensor& tensor = tensors[i];
    if (tensor.begin != at) {
      throw Error(fmt::format(
          "tensor {}: its bytes begin at {}, {} at {}", quote(tensor.name), tensor.begin,
          tensor.begin < at ? "within another tensor, which ends" : "behind a hole, which begins", at));
    }
    at = tensor.end;
  }
  if (at > data_bytes) {
    throw Error(fmt::format("it is truncated: its tensors have {} bytes, and there are {}", at, data_bytes));
  }
  if (at < data_bytes) {
    throw Error(fmt::format("its tensors end at byte {} of its data, which go on to {}", at, data_bytes));
  }
}

}  // namespace

bool is_safetensors(std::string_view start) {
  return start.size() > kLengthBytes && start[kLengthBytes] == '{' &&
         from_little_endian(start.substr(0, kLengthBytes)) <= kMaxHeaderBytes;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes) {
  SafetensorsHeader header = safetensors_of_json(json);
  std::unordered_set<std::string_view> names;
  for (SafetensorsTensor& tensor : header.tensors) {
    if (!names.insert(tensor.name).second) {
      throw Error(fmt::format("its header: there are two tensors {}", quote(tensor.name)));
    }
    try {
      check_size(tensor);
    } catch (const Error& error) {
      throw Error(fmt::format("tensor {}: {}", quote(tensor.name), error.what()));
    }
  }
  check_places(header.tensors, data_bytes);
  return header;
}

SafetensorsHeader read_safetensors_header(InputFile& file) {
  file.rewind();
  const std::string start = file.read_text(kLengthBytes);
  if (start.size() < kLengthBytes) throw Error("it is truncated: a safetensors file has 8 bytes at least");
  const std::uint64_t length = from_little_endian(start);
  if (length > kMaxHeaderBytes) {
    throw Error(fmt::format("its header would have {} bytes, more than {}, so it is not a safetensors file",
                            length, kMaxHeaderBytes));
  }
  const std::uint64_t behind = static_cast<std::uint64_t>(file.bytes()) - kLengthBytes;
  if (length > behind) {
    throw Error(fmt::format("it is truncated: its header has {} bytes, and there are {}", length, behind));
  }
  const std::string json = file.read_text(static_cast<std::int64_t>(length));
  SafetensorsHeader header = parse_safetensors_header(json, behind - length);
  header.data_begin = static_cast<std::int64_t>(kLengthBytes + length);
  return header;
}

HostTensor read_safetensors(const SafetensorsTensor& tensor, std::int64_t data_begin, InputFile& file) {
  if (!tensor.element) {
    throw NotRead(fmt::format("tensors of type {} are not read; convert them to F32", tensor.type));
  }
  file.seek(data_begin + static_cast<std::int64_t>(tensor.begin));
  const std::string bytes = file.read_text(static_cast<std::int64_t>(tensor.end - tensor.begin));
  TensorRecord record{.storage = {*tensor.element, tensor.name, tensor.shape.count()},
                      .offset = 0,
                      .shape = tensor.shape,
                      .strides = std::vector<std::int64_t>(tensor.shape.rank(), 0)};
  std::int64_t stride = record.storage.count > 0 ? 1 : 0;  // there is nothing to step over in an empty one
  for (std::size_t axis = record.shape.rank(); axis-- > 0;) {
    record.strides[axis] = stride;
    stride *= record.shape[axis];
  }
  return read_tensor(record, bytes);
}

}  // namespace convoy
