#include "engine/io/onnx/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "convoy/error.h"
#include "engine/io/quote.h"
#include "engine/model/layer_rules.h"

namespace convoy {
namespace {

using ::onnx::TensorProto;

constexpr int kMaxRank = 8;

ElementType type_of(const TensorProto& tensor) {
  const int type = tensor.data_type();
  if (const auto element = element_type(type)) return *element;
  const std::string name = TensorProto::DataType_IsValid(type)
                               ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(type))
                               : std::to_string(type);
  throw NotRead(fmt::format("its type is {}; weights are read as FLOAT, FLOAT16, BFLOAT16 or DOUBLE", name));
}

/// Elements of one of the message's lists as the bytes that raw_data would have.
template <typename Element, typename List>
std::string packed(const List& list) {
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(list.size()) * sizeof(Element));
  for (const auto value : list) {
    const auto element = static_cast<Element>(value);
    bytes.append(reinterpret_cast<const char*>(&element), sizeof element);
  }
  return bytes;
}

std::string bytes_of(const TensorProto& tensor, ElementType type, std::size_t expected,
                     const ExternalBytes& external) {
  if (tensor.data_location() == TensorProto::EXTERNAL) return external(tensor, expected);
  if (tensor.has_raw_data()) return tensor.raw_data();
  switch (type) {
    case ElementType::float32:
      return packed<float>(tensor.float_data());
    case ElementType::float64:
      return packed<double>(tensor.double_data());
    case ElementType::int64:
      return packed<std::int64_t>(tensor.int64_data());
    case ElementType::int32:
      return packed<std::int32_t>(tensor.int32_data());
    case ElementType::float16:
    case ElementType::bfloat16:
      return packed<std::uint16_t>(tensor.int32_data());  // the bits of one in each
  }
  return {};
}

}  // namespace

std::optional<ElementType> element_type(int data_type) {
  switch (data_type) {
    case TensorProto::FLOAT:
      return ElementType::float32;
    case TensorProto::FLOAT16:
      return ElementType::float16;
    case TensorProto::BFLOAT16:
      return ElementType::bfloat16;
    case TensorProto::DOUBLE:
      return ElementType::float64;
    case TensorProto::INT32:
      return ElementType::int32;
    case TensorProto::INT64:
      return ElementType::int64;
    default:
      return std::nullopt;
  }
}

Shape shape_of(const TensorProto& tensor) {
  if (tensor.dims_size() > kMaxRank) throw Error(fmt::format("it has {} dimensions", tensor.dims_size()));
  Shape shape(std::vector<std::int64_t>(tensor.dims().begin(), tensor.dims().end()));
  std::int64_t count = 1;
  for (const std::int64_t size : shape.dimensions()) {
    const bool possible = size >= 0 && size <= kMaxElements;
    count *= possible ? size : 0;  // two numbers below 2^31
    if (!possible || count > kMaxElements) {
      throw Error(fmt::format("its dimensions {} cannot be", shape.str()));
    }
  }
  return shape;
}

HostTensor elements_of(const TensorProto& tensor, const ExternalBytes& external) {
  const Shape shape = shape_of(tensor);
  const ElementType type = type_of(tensor);
  const std::int64_t count = shape.count();
  if (tensor.has_segment()) throw Error("it is a segment of another");
  const std::size_t expected = static_cast<std::size_t>(count) * element_bytes(type);
  const std::string bytes = bytes_of(tensor, type, expected, external);
  if (bytes.size() != expected) {
    throw Error(fmt::format("it has {} bytes of elements, but its dimensions {} take {}", bytes.size(),
                            shape.str(), expected));
  }
  TensorRecord record;
  record.storage.type = type;
  record.storage.count = count;
  record.shape = shape;
  record.strides.resize(shape.rank());
  std::int64_t stride = count > 0 ? 1 : 0;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    record.strides[axis] = stride;
    stride *= shape[axis];
  }
  return read_tensor(record, bytes);
}

HostTensor tensor_of(const TensorProto& tensor, const ExternalBytes& external) {
  try {
    return elements_of(tensor, external);
  } catch (const Error& error) {
    throw Error(fmt::format("tensor {}: {}", quote(tensor.name()), error.what()));
  }
}

TensorProto message_of(const std::string& name, const HostTensor& tensor) {
  TensorProto message;
  message.set_name(name);
  message.set_data_type(TensorProto::FLOAT);
  for (const std::int64_t size : tensor.shape.dimensions()) message.add_dims(size);
  message.set_raw_data(packed<float>(tensor.values));
  return message;
}

}  // namespace convoy
