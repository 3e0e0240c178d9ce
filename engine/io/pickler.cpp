#include "engine/io/pickler.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <unordered_set>
#include <vector>

#include "convoy/error.h"
#include "engine/io/little_endian.h"
#include "engine/io/quote.h"

namespace convoy::pickle {
namespace {

// Items per SETITEMS, as in Python's pickler. Without batches a reader's stack would have to hold all items.
constexpr std::size_t kBatch = 1000;

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

}  // namespace

Pickler::Pickler() { op(Opcode::proto).little_endian(2, 1); }

Pickler& Pickler::op(Opcode opcode) {
  out_ += static_cast<char>(opcode);
  return *this;
}

Pickler& Pickler::global(std::string_view module, std::string_view name) {
  out_ += fmt::format("c{}\n{}\n", module, name);
  return *this;
}

Pickler& Pickler::string(std::string_view text) {
  op(Opcode::bin_unicode).little_endian(text.size(), 4);
  out_ += text;
  return *this;
}

Pickler& Pickler::count(std::int64_t value) {
  const auto number = static_cast<std::uint64_t>(value);
  if (number <= 0xff) return op(Opcode::bin_int1).little_endian(number, 1);
  if (number <= 0xffff) return op(Opcode::bin_int2).little_endian(number, 2);
  if (number <= 0x7fffffff) return op(Opcode::bin_int).little_endian(number, 4);
  return op(Opcode::long1).little_endian(8, 1).little_endian(number, 8);
}

Pickler& Pickler::counts(std::span<const std::int64_t> values) {
  op(Opcode::mark);
  for (const std::int64_t value : values) count(value);
  return op(Opcode::tuple);
}

Pickler& Pickler::real(double value) {
  op(Opcode::bin_float);
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int shift = 56; shift >= 0; shift -= 8) little_endian(bits >> shift & 0xff, 1);  // big-endian
  return *this;
}

Pickler& Pickler::boolean(bool value) { return op(value ? Opcode::new_true : Opcode::new_false); }

Pickler& Pickler::empty_ordered_dict() {
  return global("collections", "OrderedDict").op(Opcode::empty_tuple).op(Opcode::reduce);
}

Pickler& Pickler::tensor(const HostTensor& tensor) {
  global("torch._utils", "_rebuild_tensor_v2").op(Opcode::mark);
  op(Opcode::mark).string("storage").global("torch", storage_type(tensor.dtype));
  string(std::to_string(storages_++)).string("cpu").count(tensor.shape.count());
  op(Opcode::tuple).op(Opcode::bin_persid);
  count(0).counts(tensor.shape.dimensions()).counts(row_major_strides(tensor.shape));
  boolean(false).empty_ordered_dict();  // requires_grad, backward_hooks
  return op(Opcode::tuple).op(Opcode::reduce);
}

Pickler& Pickler::state(const StateDict& state) {
  empty_ordered_dict();
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i < state.size(); ++i) {
    const auto& [name, values] = state[i];
    if (!is_tensor_name(name)) throw Error(fmt::format("{} is not a tensor's name", quote(name)));
    if (!names.insert(name).second) throw Error(fmt::format("there are two tensors {}", quote(name)));
    if (static_cast<std::uint64_t>(values.shape.count()) != values.values.size()) {
      throw Error(fmt::format("tensor {}: {} values do not fill its shape {}", quote(name),
                              values.values.size(), values.shape.str()));
    }
    if (i % kBatch == 0) op(Opcode::mark);
    string(name).tensor(values);
    if ((i + 1) % kBatch == 0 || i + 1 == state.size()) op(Opcode::set_items);
  }
  return *this;
}

std::string Pickler::stop() {
  op(Opcode::stop);
  return std::move(out_);
}

Pickler& Pickler::little_endian(std::uint64_t number, int width) {
  out_ += to_little_endian(number, static_cast<std::size_t>(width));
  return *this;
}

}  // namespace convoy::pickle
