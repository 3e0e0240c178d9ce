#include <fmt/format.h>

#include <unordered_set>
#include <utility>
#include <vector>

#include "convoy/error.h"
#include "engine/io/quote.h"
#include "engine/io/state_pickle.h"
#include "engine/io/tensor_collector.h"
#include "engine/io/unpickler.h"

namespace convoy {
namespace {

using pickle::Foreign;
using pickle::Object;
using pickle::Value;

constexpr std::string_view kAdvice =
    "save the model's state dict alone: torch.save(model.state_dict(), file)";

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

/// The dicts below `outer` that hold nothing but tensors, on the first of `depth` levels that has any: what
/// an optimizer keeps for each parameter, and a mean of weights, lie deeper than a model's state.
std::vector<NestedState> nearest_states(const Object& outer, int depth) {
  std::vector<NestedState> level = {{"", &outer}}, found;
  std::unordered_set<const Object*> visited;  // a hostile pickle may refer to one large dict a million times
  for (; depth > 0 && found.empty(); --depth) {
    std::vector<NestedState> next;
    for (const NestedState& at : level) {
      const std::vector<Value>& elements = at.dict->elements;
      for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
        const auto* const key = std::get_if<std::string_view>(&elements[i]);
        const Object* const dict = as_dict(elements[i + 1]);
        if (key == nullptr || dict == nullptr || dict->elements.empty() || !visited.insert(dict).second) {
          continue;
        }
        const std::string here = at.name.empty() ? quote(*key) : at.name + " -> " + quote(*key);
        (holds_tensors_alone(*dict) ? found : next).push_back({here, dict});
      }
    }
    level = std::move(next);
  }
  return found;
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
  const std::vector<NestedState> found = nearest_states(*dict, /*depth=*/2);
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

}  // namespace

StatePlace state_place(const pickle::Document& document) {
  std::string place;
  const Object& dict = state_of(document.root, place);
  if (!holds_tensors_alone(dict)) throw Error(fmt::format("it holds no dict of tensors alone; {}", kAdvice));
  return {&dict, place};
}

PickledState state_from_pickle(std::string_view pickle, const StorageReader& read_storage,
                               std::uint64_t max_elements) {
  const pickle::Document document = pickle::unpickle(pickle);
  PickledState result;
  const Object& dict = state_of(document.root, result.place);
  result.state = TensorCollector(read_storage, max_elements).state(dict, kAdvice);
  return result;
}

}  // namespace convoy
