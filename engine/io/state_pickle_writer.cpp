#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "convoy/error.h"
#include "engine/io/pickle_opcodes.h"
#include "engine/io/quote.h"
#include "engine/io/state_pickle.h"
#include "engine/io/tensor_record.h"

namespace convoy {
namespace {

using pickle::Opcode;

// Items per SETITEMS, as in Python's pickler. Without batches a reader's stack would have to hold all items.
constexpr std::size_t kBatch = 1000;

/// Writes a pickle. It uses no memo: repeated names cost some 80 bytes a tensor, which is little.
class Pickler {
 public:
  Pickler& op(Opcode opcode) {
    out_ += static_cast<char>(opcode);
    return *this;
  }

  Pickler& global(std::string_view module, std::string_view name) {
    out_ += fmt::format("c{}\n{}\n", module, name);
    return *this;
  }

  Pickler& string(std::string_view text) {
    op(Opcode::bin_unicode).little_endian(text.size(), 4);
    out_ += text;
    return *this;
  }

  /// A count in its shortest form, as Python's pickler writes it.
  Pickler& count(std::int64_t value) {
    const auto number = static_cast<std::uint64_t>(value);
    if (number <= 0xff) return op(Opcode::bin_int1).little_endian(number, 1);
    if (number <= 0xffff) return op(Opcode::bin_int2).little_endian(number, 2);
    if (number <= 0x7fffffff) return op(Opcode::bin_int).little_endian(number, 4);
    return op(Opcode::long1).little_endian(8, 1).little_endian(number, 8);
  }

  Pickler& counts(std::span<const std::int64_t> values) {
    op(Opcode::mark);
    for (const std::int64_t value : values) count(value);
    return op(Opcode::tuple);
  }

  Pickler& empty_ordered_dict() {
    return global("collections", "OrderedDict").op(Opcode::empty_tuple).op(Opcode::reduce);
  }

  Pickler& little_endian(std::uint64_t number, int width) {
    for (int i = 0; i < width; ++i) out_ += static_cast<char>(number >> 8 * i & 0xff);
    return *this;
  }

  const std::string& bytes() const { return out_; }

 private:
  std::string out_;
};

std::string_view storage_type(DType type) {
  switch (type) {
    case DType::float32:
      return "FloatStorage";
    case DType::int32:
      return "IntStorage";
    case DType::int64:
      return "LongStorage";
    case DType::bfloat16:
    case DType::int8:
      break;  // only devices hold these
  }
  throw Error("a tensor of a type that checkpoints do not hold");
}

std::vector<std::int64_t> row_major_strides(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.rank(), 1);
  for (std::size_t axis = shape.rank(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * std::max<std::int64_t>(shape[axis], 1);  // as PyTorch if empty
  }
  return strides;
}

void pickle_tensor(const HostTensor& tensor, std::size_t storage, Pickler& out) {
  out.global("torch._utils", "_rebuild_tensor_v2").op(Opcode::mark);
  out.op(Opcode::mark).string("storage").global("torch", storage_type(tensor.dtype));
  out.string(std::to_string(storage)).string("cpu").count(tensor.shape.count());
  out.op(Opcode::tuple).op(Opcode::bin_persid);
  out.count(0).counts(tensor.shape.dimensions()).counts(row_major_strides(tensor.shape));
  out.op(Opcode::new_false).empty_ordered_dict();  // requires_grad, backward_hooks
  out.op(Opcode::tuple).op(Opcode::reduce);
}

template <typename T>
void append(std::string& bytes, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

template <typename T>
std::optional<T> to_integer(double value) {
  // The integers that a reader can represent: all of int32, and int64 up to 2^53.
  constexpr auto kLow =
      static_cast<double>(std::max<std::int64_t>(std::numeric_limits<T>::min(), -kMaxExactInteger));
  constexpr auto kHigh =
      static_cast<double>(std::min<std::int64_t>(std::numeric_limits<T>::max(), kMaxExactInteger));
  if (!(value >= kLow && value <= kHigh) || value != std::trunc(value)) return std::nullopt;
  return static_cast<T>(value);
}

std::optional<float> to_float(double value) {
  if (std::isfinite(value) && std::abs(value) > std::numeric_limits<float>::max()) return std::nullopt;
  return static_cast<float>(value);
}

template <typename T>
std::string convert(const StateDict::value_type& entry, std::optional<T> (*to)(double)) {
  std::string bytes;
  bytes.reserve(entry.second.values.size() * sizeof(T));
  for (const double value : entry.second.values) {
    const std::optional<T> converted = to(value);
    if (!converted)
      throw Error(fmt::format("tensor {}: its value {} does not fit its type", quote(entry.first), value));
    append(bytes, *converted);
  }
  return bytes;
}

}  // namespace

std::string state_to_pickle(const StateDict& state) {
  Pickler out;
  out.op(Opcode::proto).little_endian(2, 1).empty_ordered_dict();
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i < state.size(); ++i) {
    const auto& [name, tensor] = state[i];
    if (!is_tensor_name(name)) throw Error(fmt::format("{} is not a tensor's name", quote(name)));
    if (!names.insert(name).second) throw Error(fmt::format("there are two tensors {}", quote(name)));
    if (static_cast<std::uint64_t>(tensor.shape.count()) != tensor.values.size()) {
      throw Error(fmt::format("tensor {}: {} values do not fill its shape {}", quote(name),
                              tensor.values.size(), tensor.shape.str()));
    }
    if (i % kBatch == 0) out.op(Opcode::mark);
    pickle_tensor(tensor, i, out.string(name));
    if ((i + 1) % kBatch == 0 || i + 1 == state.size()) out.op(Opcode::set_items);
  }
  out.op(Opcode::stop);
  return out.bytes();
}

std::string storage_bytes(const StateDict::value_type& entry) {
  switch (entry.second.dtype) {
    case DType::float32:
      return convert<float>(entry, to_float);
    case DType::int32:
      return convert<std::int32_t>(entry, to_integer);
    case DType::int64:
      return convert<std::int64_t>(entry, to_integer);
    case DType::bfloat16:
    case DType::int8:
      break;  // refused by storage_type already
  }
  throw Error("a tensor of a type that checkpoints do not hold");
}

}  // namespace convoy
