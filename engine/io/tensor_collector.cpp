#include "engine/io/tensor_collector.h"

#include <fmt/format.h>

#include <unordered_set>

#include "convoy/error.h"
#include "engine/io/quote.h"

namespace convoy {

using pickle::Foreign;
using pickle::Object;
using pickle::Value;

namespace {

/// What stands where a tensor or a dict of them belongs, and what to do about it.
std::string not_tensor(const Value& value, std::string_view advice) {
  const Foreign* const foreign = as_foreign_object(value);
  if (foreign == nullptr) return fmt::format("no tensor, as in a training checkpoint; {}", advice);
  if (is_numpy_array(*foreign)) {
    return "a NumPy array, not a tensor; save a tensor in its place: torch.from_numpy(array)";
  }
  if (foreign->module == "torch._utils") {  // _rebuild_qtensor, _rebuild_sparse_tensor, _rebuild_tensor_v3
    return fmt::format("a tensor of a kind that is not read ({}); convert it with .float() or .dequantize()",
                       quote(foreign->name));
  }
  return fmt::format("no tensor but an object of {}, as in a training checkpoint; {}",
                     quote(fmt::format("{}.{}", foreign->module, foreign->name)), advice);
}

}  // namespace

const Object* as_dict(const Value& value) { return as_object(value, Object::Kind::dict); }

const Foreign* as_foreign_object(const Value& value) {
  const Object* const call = as_object(value, Object::Kind::call);
  return call == nullptr ? nullptr : std::get_if<Foreign>(&call->elements.at(0));
}

bool is_numpy_array(const Foreign& foreign) {
  const bool numpy = foreign.module == "numpy.core.multiarray" || foreign.module == "numpy._core.multiarray";
  return numpy && foreign.name == "_reconstruct";
}

bool may_be_tensor(const Value& value) {
  return as_object(value, Object::Kind::call) != nullptr && as_foreign_object(value) == nullptr;
}

HostTensor TensorCollector::tensor(const Value& value) {
  const TensorRecord record = tensor_record(value);
  require_read_type(record.storage);
  const auto count = static_cast<std::uint64_t>(record.shape.count());
  if (count > elements_left_) throw NotRead("it makes the tensors larger than the file can account for");
  elements_left_ -= count;
  return read_tensor(record, storage(record.storage));
}

StateDict TensorCollector::state(const Object& dict, std::string_view advice) {
  const std::vector<Value>& elements = dict.elements;
  StateDict state;
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i < elements.size(); i += 2) {
    const auto* const name = std::get_if<std::string_view>(&elements[i]);
    if (name == nullptr) throw Error(fmt::format("entry {} has no name; {}", i / 2, advice));
    if (!is_tensor_name(*name)) throw Error(fmt::format("{} is not a tensor's name", quote(*name)));
    if (!names.insert(*name).second) throw Error(fmt::format("there are two tensors {}", quote(*name)));
    if (!may_be_tensor(elements[i + 1])) {
      throw Error(fmt::format("{} is {}", quote(*name), not_tensor(elements[i + 1], advice)));
    }
    try {
      state.emplace_back(*name, tensor(elements[i + 1]));
    } catch (const Error& error) {
      throw Error(fmt::format("tensor {}: {}", quote(*name), error.what()));
    }
  }
  return state;
}

const std::string& TensorCollector::storage(const StorageRecord& record) {
  auto known = storages_.find(record.key);
  if (known == storages_.end()) {
    known = storages_.emplace(record.key, Storage{record, read_storage_(record.key)}).first;
  } else if (known->second.record != record) {
    throw Error(fmt::format("another tensor describes its storage {} differently", quote(record.key)));
  }
  return known->second.bytes;
}

}  // namespace convoy
