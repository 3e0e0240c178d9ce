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

using pickle::Object;
using pickle::Value;

constexpr std::string_view kAdvice =
    "save the model's state dict alone: torch.save(model.state_dict(), file)";

bool may_be_tensor(const Value& value) {
  const auto* const object = std::get_if<Object*>(&value);
  return object != nullptr && (*object)->kind == Object::Kind::call;
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

StateDict state_from_pickle(std::string_view pickle, const StorageReader& read_storage,
                            std::uint64_t max_elements) {
  const pickle::Document document = pickle::unpickle(pickle);
  const auto* const root = std::get_if<Object*>(&document.root);
  if (root == nullptr || (*root)->kind != Object::Kind::dict) {
    throw Error(fmt::format("it holds no dict of tensors; {}", kAdvice));
  }
  StateDict state;
  Collector collector(read_storage, max_elements);
  std::unordered_set<std::string_view> names;
  const std::vector<Value>& elements = (*root)->elements;
  for (std::size_t i = 0; i < elements.size(); i += 2) {
    const auto* const name = std::get_if<std::string_view>(&elements[i]);
    if (name == nullptr) throw Error(fmt::format("entry {} has no name; {}", i / 2, kAdvice));
    if (!is_tensor_name(*name)) throw Error(fmt::format("{} is not a tensor's name", quote(*name)));
    if (!names.insert(*name).second) throw Error(fmt::format("there are two tensors {}", quote(*name)));
    if (!may_be_tensor(elements[i + 1])) {
      throw Error(fmt::format("{} is no tensor, as in a training checkpoint; {}", quote(*name), kAdvice));
    }
    try {
      state.emplace_back(*name, collector.tensor(elements[i + 1]));
    } catch (const Error& error) {
      throw Error(fmt::format("tensor {}: {}", quote(*name), error.what()));
    }
  }
  return state;
}

}  // namespace convoy
