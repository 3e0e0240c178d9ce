#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "convoy/error.h"
#include "engine/io/quote.h"
#include "engine/io/state_pickle.h"
#include "engine/io/tensor_record.h"
#include "engine/io/unpickler.h"

namespace convoy {
namespace {

using pickle::Foreign;
using pickle::Object;
using pickle::Value;

constexpr std::string_view kAdvice =
    "save the model's state dict alone: torch.save(model.state_dict(), file)";

const Object* as_dict(const Value& value) {
  const auto* const object = std::get_if<Object*>(&value);
  return object != nullptr && (*object)->kind == Object::Kind::dict ? *object : nullptr;
}

/// The call of a foreign global, which would make an object of it.
const Foreign* as_foreign_object(const Value& value) {
  const auto* const object = std::get_if<Object*>(&value);
  if (object == nullptr || (*object)->kind != Object::Kind::call) return nullptr;
  return std::get_if<Foreign>(&(*object)->elements.at(0));
}

bool may_be_tensor(const Value& value) {
  const auto* const object = std::get_if<Object*>(&value);
  return object != nullptr && (*object)->kind == Object::Kind::call && as_foreign_object(value) == nullptr;
}

/// What stands where a tensor or a dict of them belongs: "no tensor", and if it has a name, which.
std::string not_tensor(const Value& value) {
  const Foreign* const foreign = as_foreign_object(value);
  if (foreign == nullptr) return "no tensor";
  return fmt::format("no tensor but an object of {}",
                     quote(fmt::format("{}.{}", foreign->module, foreign->name)));
}

bool holds_tensors_alone(const Object& dict) {
  for (std::size_t i = 1; i < dict.elements.size(); i += 2) {
    if (!may_be_tensor(dict.elements[i])) return false;
  }
  return true;
}

struct NestedState {
  std::string name;  // of its place: "model", or "state" -> "model"
  const Object* dict;
};

using Visited =
    std::unordered_set<const Object*>;  // a hostile pickle may refer to one large dict a million times

/// The dicts below `outer` that hold nothing but tensors, down to `depth` levels: what an optimizer keeps for
/// each parameter lies deeper.
void find_states(const Object& outer, const std::string& place, int depth, Visited& visited,
                 std::vector<NestedState>& found) {
  for (std::size_t i = 0; i + 1 < outer.elements.size(); i += 2) {
    const auto* const key = std::get_if<std::string_view>(&outer.elements[i]);
    const Object* const dict = as_dict(outer.elements[i + 1]);
    if (key == nullptr || dict == nullptr || dict->elements.empty() || !visited.insert(dict).second) continue;
    const std::string here = place + quote(*key);
    if (holds_tensors_alone(*dict)) {
      found.push_back({here, dict});
    } else if (depth > 1) {
      find_states(*dict, here + " -> ", depth - 1, visited, found);
    }
  }
}

/// The dict of tensors: the root itself or, in a training checkpoint, the only one within. `name` gets its
/// place.
const Object& state_of(const Value& root, std::string& name) {
  const Object* const dict = as_dict(root);
  if (const Foreign* const foreign = as_foreign_object(root)) {
    throw Error(fmt::format("it holds an object of {}, as torch.save(model, file) pickles a whole module; {}",
                            quote(fmt::format("{}.{}", foreign->module, foreign->name)), kAdvice));
  }
  if (dict == nullptr) throw Error(fmt::format("it holds no dict of tensors; {}", kAdvice));
  if (holds_tensors_alone(*dict)) return *dict;
  constexpr int kDepth = 2;
  std::vector<NestedState> found;
  Visited visited;
  find_states(*dict, "", kDepth, visited, found);
  if (found.empty()) return *dict;
  if (found.size() > 1) {
    throw Error(
        fmt::format("it holds several state dicts, as under {} and {}; save the one that is meant alone: "
                    "torch.save(checkpoint[...], file)",
                    found[0].name, found[1].name));
  }
  name = found[0].name;
  return *found[0].dict;
}

/// Reads tensors. A storage that several tensors share is read once.
class Collector {
 public:
  Collector(const StorageReader& read_storage, std::uint64_t max_elements)
      : read_storage_(read_storage), elements_left_(max_elements) {}

  HostTensor tensor(const Value& value) {
    const TensorRecord record = tensor_record(value);
    const auto count = static_cast<std::uint64_t>(record.shape.count());
    if (count > elements_left_) throw Error("it makes the tensors larger than the file can account for");
    elements_left_ -= count;
    return read_tensor(record, storage(record.storage));
  }

 private:
  struct Storage {
    StorageRecord record;
    std::string bytes;
  };

  const std::string& storage(const StorageRecord& record) {
    auto known = storages_.find(record.key);
    if (known == storages_.end()) {
      known = storages_.emplace(record.key, Storage{record, read_storage_(record.key)}).first;
    } else if (known->second.record != record) {
      throw Error(fmt::format("another tensor describes its storage {} differently", quote(record.key)));
    }
    return known->second.bytes;
  }

  const StorageReader& read_storage_;
  std::uint64_t elements_left_;
  std::unordered_map<std::string_view, Storage> storages_;
};

}  // namespace

PickledState state_from_pickle(std::string_view pickle, const StorageReader& read_storage,
                               std::uint64_t max_elements) {
  const pickle::Document document = pickle::unpickle(pickle);
  PickledState result;
  const std::vector<Value>& elements = state_of(document.root, result.place).elements;
  Collector collector(read_storage, max_elements);
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i < elements.size(); i += 2) {
    const auto* const name = std::get_if<std::string_view>(&elements[i]);
    if (name == nullptr) throw Error(fmt::format("entry {} has no name; {}", i / 2, kAdvice));
    if (!is_tensor_name(*name)) throw Error(fmt::format("{} is not a tensor's name", quote(*name)));
    if (!names.insert(*name).second) throw Error(fmt::format("there are two tensors {}", quote(*name)));
    if (!may_be_tensor(elements[i + 1])) {
      throw Error(fmt::format("{} is {}, as in a training checkpoint; {}", quote(*name),
                              not_tensor(elements[i + 1]), kAdvice));
    }
    try {
      result.state.emplace_back(*name, collector.tensor(elements[i + 1]));
    } catch (const Error& error) {
      throw Error(fmt::format("tensor {}: {}", quote(*name), error.what()));
    }
  }
  return result;
}

}  // namespace convoy
