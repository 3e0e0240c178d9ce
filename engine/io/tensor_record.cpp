#include "engine/io/tensor_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>

#include "convoy/error.h"
#include "engine/core/half.h"
#include "engine/io/quote.h"

namespace convoy {
namespace {

using pickle::Foreign;
using pickle::Global;
using pickle::None;
using pickle::Object;
using pickle::Value;

static_assert(std::endian::native == std::endian::little,
              "elements are copied from and to little-endian files");

/// The elements of a tuple. `what` is its name in the error message.
std::span<const Value> tuple(const Value& value, std::string_view what) {
  const Object* const object = as_object(value, Object::Kind::tuple);
  if (object == nullptr) throw Error(fmt::format("its {} is not a tuple", what));
  return object->elements;
}

std::int64_t count_of(const Value& value, std::string_view what) {
  const auto* const number = std::get_if<std::int64_t>(&value);
  if (number == nullptr || *number < 0) throw Error(fmt::format("its {} is not a count", what));
  return *number;
}

std::vector<std::int64_t> counts_of(const Value& value, std::string_view what) {
  const std::span<const Value> elements = tuple(value, what);
  if (elements.size() > kMaxTensorRank)
    throw Error(fmt::format("its {} has more than {} dimensions", what, kMaxTensorRank));
  std::vector<std::int64_t> counts;
  for (const Value& element : elements) counts.push_back(count_of(element, what));
  return counts;
}

std::optional<ElementType> element_type(const Value& value) {
  const auto* const global = std::get_if<Global>(&value);
  if (global == nullptr) return std::nullopt;
  switch (*global) {
    case Global::half_storage:
      return ElementType::float16;
    case Global::bfloat16_storage:
      return ElementType::bfloat16;
    case Global::float_storage:
      return ElementType::float32;
    case Global::double_storage:
      return ElementType::float64;
    case Global::int_storage:
      return ElementType::int32;
    case Global::long_storage:
      return ElementType::int64;
    case Global::ordered_dict:
    case Global::rebuild_tensor:
    case Global::rebuild_tensor_v1:
    case Global::rebuild_parameter:
      return std::nullopt;
  }
  return std::nullopt;
}

// Storages that are not read. They may lie beside those that are, as a generator's state does.
struct ForeignType {
  std::string_view name;
  std::int64_t bytes;
};
constexpr auto kForeignTypes = std::to_array<ForeignType>({
    {"ByteStorage", 1},
    {"UntypedStorage", 1},  // of types that came later; it counts bytes
    {"CharStorage", 1},
    {"BoolStorage", 1},
    {"ShortStorage", 2},
    {"ComplexFloatStorage", 8},
    {"ComplexDoubleStorage", 16},
    {"QInt8Storage", 1},
    {"QUInt8Storage", 1},
    {"QInt32Storage", 4},
    {"QUInt4x2Storage", 1},
    {"QUInt2x4Storage", 1},
});

/// Reads ("storage", torch.FloatStorage, "0", "cpu", 400): a fixed word, type, key, device, number of
/// elements. The device does not matter, because the bytes are in the archive. Files of before PyTorch 1.6
/// have None behind it, or what makes a view of another storage of it.
StorageRecord storage_record(const Value& value) {
  const Object* const reference = as_object(value, Object::Kind::persistent_id);
  if (reference == nullptr) throw Error("it has no storage");
  const std::span<const Value> id = tuple(reference->elements.at(0), "storage reference");
  if (id.size() < 5 || id.size() > 6 || id[0] != Value(std::string_view("storage"))) {
    throw Error("its storage reference is malformed");
  }
  if (id.size() == 6 && id[5] != Value(None{})) {
    throw NotRead(
        "its storage is a part of another; load it with torch.load and save it again with torch.save");
  }
  const std::optional<ElementType> type = element_type(id[1]);
  const auto* const foreign = std::get_if<Foreign>(&id[1]);
  const auto* const key = std::get_if<std::string_view>(&id[2]);
  if ((!type && foreign == nullptr) || key == nullptr || !std::holds_alternative<std::string_view>(id[3])) {
    throw Error("its storage reference is malformed");
  }
  return {type.value_or(ElementType::float32), *key, count_of(id[4], "storage size"),
          foreign == nullptr ? std::string_view() : foreign->name};
}

/// Throws unless every element of the view lies inside the storage. Also refuses a view with more elements
/// than its storage (an expanded tensor), with which a few bytes of a file could ask for any amount of
/// memory.
void check_extent(const TensorRecord& record) {
  std::int64_t count = 1;
  std::int64_t last = record.offset;  // position of the tensor's last element in the storage
  for (std::size_t axis = 0; axis < record.shape.rank(); ++axis) {
    const std::int64_t size = record.shape[axis];
    std::int64_t reach = 0;
    const bool overflow =
        __builtin_mul_overflow(count, size, &count) ||
        __builtin_mul_overflow(std::max<std::int64_t>(size, 1) - 1, record.strides[axis], &reach) ||
        __builtin_add_overflow(last, reach, &last);
    if (overflow) throw Error(fmt::format("its shape {} overflows 63 bits", record.shape.str()));
  }
  if (count > record.storage.count) {
    throw NotRead(fmt::format("its shape {} has more elements than its storage ({}); save it .contiguous()",
                              record.shape.str(), record.storage.count));
  }
  if (count > 0 && last >= record.storage.count) {
    throw Error(fmt::format("its offset and strides lead to element {} of a storage of {}", last,
                            record.storage.count));
  }
}

/// The arguments of a call of `function`, or nothing if `value` is something else.
std::optional<std::span<const Value>> call_arguments(const Value& value, Global function) {
  const Object* const call = as_object(value, Object::Kind::call);
  if (call == nullptr || call->elements.at(0) != Value(function)) return std::nullopt;
  return tuple(call->elements.at(1), "argument list");
}

bool is_empty_dict(const Value& value) {
  const Object* const dict = as_object(value, Object::Kind::dict);
  return dict != nullptr && dict->elements.empty();
}

/// The arguments of a call that makes a tensor, of which the first four are storage, offset, shape and
/// strides; nothing if `value` is something else.
std::optional<std::span<const Value>> tensor_arguments(const Value& value) {
  // _rebuild_tensor(storage, offset, size, stride)
  if (const auto arguments = call_arguments(value, Global::rebuild_tensor_v1)) {
    if (arguments->size() != 4) throw Error("it is a malformed tensor");
    return arguments;
  }
  // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks, metadata = None)
  const auto arguments = call_arguments(value, Global::rebuild_tensor);
  if (!arguments) return std::nullopt;
  if (arguments->size() < 6 || arguments->size() > 7) throw Error("it is a malformed tensor");
  if (!is_empty_dict((*arguments)[5])) throw NotRead("it has backward hooks; save it .detach()");
  if (arguments->size() == 7 && (*arguments)[6] != Value(None{}) && !is_empty_dict((*arguments)[6])) {
    throw NotRead("it is a lazily negated or conjugated tensor; save it .contiguous()");
  }
  return arguments;
}

template <typename T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

double load_element(ElementType type, const char* from) {
  switch (type) {
    case ElementType::float16:
      return half_to_double(load<std::uint16_t>(from));
    case ElementType::bfloat16:
      return std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(from)} << 16);
    case ElementType::float32:
      return load<float>(from);
    case ElementType::float64:
      return load<double>(from);
    case ElementType::int32:
      return load<std::int32_t>(from);
    case ElementType::int64:
      break;
  }
  const auto value = load<std::int64_t>(from);
  if (value > kMaxExactInteger || value < -kMaxExactInteger)
    throw NotRead(fmt::format("its value {} is beyond 2^53", value));
  return static_cast<double>(value);
}

DType host_type(ElementType type) {
  if (type == ElementType::int32) return DType::int32;
  return type == ElementType::int64 ? DType::int64 : DType::float32;
}

}  // namespace

std::size_t element_bytes(ElementType type) {
  switch (type) {
    case ElementType::float16:
    case ElementType::bfloat16:
      return 2;
    case ElementType::float32:
    case ElementType::int32:
      return 4;
    case ElementType::float64:
    case ElementType::int64:
      return 8;
  }
  return 0;
}

std::int64_t storage_element_bytes(const Value& value) {
  if (const auto type = element_type(value)) return static_cast<std::int64_t>(element_bytes(*type));
  const auto* const foreign = std::get_if<Foreign>(&value);
  if (foreign == nullptr || (foreign->module != "torch" && foreign->module != "torch.storage")) return 0;
  const auto* const type = std::ranges::find(kForeignTypes, foreign->name, &ForeignType::name);
  return type == kForeignTypes.end() ? 0 : type->bytes;
}

TensorRecord tensor_record(const Value& value) {
  // _rebuild_parameter(tensor, requires_grad, backward_hooks)
  if (const auto parameter = call_arguments(value, Global::rebuild_parameter)) {
    if (parameter->size() != 3 || !tensor_arguments((*parameter)[0])) {
      throw Error("it is a malformed parameter");
    }
    return tensor_record((*parameter)[0]);
  }
  const auto arguments = tensor_arguments(value);
  if (!arguments) throw Error("it is not a tensor");
  TensorRecord record{storage_record((*arguments)[0]), count_of((*arguments)[1], "offset"),
                      Shape(counts_of((*arguments)[2], "shape")), counts_of((*arguments)[3], "strides")};
  if (record.strides.size() != record.shape.rank())
    throw Error("its strides are not as many as its dimensions");
  check_extent(record);
  return record;
}

void require_read_type(const StorageRecord& storage) {
  if (storage.foreign.empty()) return;
  throw NotRead(fmt::format("tensors of type {} are not supported; convert them with .float()",
                            quote(storage.foreign)));
}

HostTensor read_tensor(const TensorRecord& record, std::string_view storage) {
  require_read_type(record.storage);
  const std::size_t width = element_bytes(record.storage.type);
  if (storage.size() % width != 0 ||
      storage.size() / width != static_cast<std::uint64_t>(record.storage.count)) {
    throw Error(fmt::format("its storage {} has {} bytes, not {} elements of {} bytes",
                            quote(record.storage.key), storage.size(), record.storage.count, width));
  }
  HostTensor tensor = zeros(record.shape, host_type(record.storage.type));
  std::vector<std::int64_t> index(record.shape.rank(), 0);
  std::int64_t at = record.offset;
  for (double& value : tensor.values) {
    value = load_element(record.storage.type, storage.data() + static_cast<std::size_t>(at) * width);
    for (std::size_t axis = index.size(); axis-- > 0;) {  // counts up, the last axis fastest
      if (index[axis] + 1 < record.shape[axis]) {
        ++index[axis];
        at += record.strides[axis];
        break;
      }
      at -= record.strides[axis] * index[axis];  // 0 for an axis of one element, whatever its stride
      index[axis] = 0;
    }
  }
  return tensor;
}

}  // namespace convoy
