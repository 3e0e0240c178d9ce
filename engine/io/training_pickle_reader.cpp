#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "convoy/error.h"
#include "engine/io/quote.h"
#include "engine/io/tensor_collector.h"
#include "engine/io/training_pickle.h"

namespace convoy {
namespace {

using pickle::Object;
using pickle::Value;

/// A dict in which every entry that is asked for must be. `path` is where it lies: "optimizer -> state".
class Members {
 public:
  Members(const Value& value, std::string path) : path_(std::move(path)), dict_(as_dict(value)) {
    if (dict_ != nullptr) return;
    throw Error(path_.empty() ? "it holds no dict" : fmt::format("its entry {} is not a dict", quote(path_)));
  }

  template <typename Key>
  const Value& at(const Key& key) const {
    for (std::size_t i = 0; i + 1 < dict_->elements.size(); i += 2) {
      const Key* const here = std::get_if<Key>(&dict_->elements[i]);
      if (here != nullptr && *here == key) return dict_->elements[i + 1];
    }
    throw Error(fmt::format("it lacks the entry {}", quote(path_of(key))));
  }

  bool has(std::string_view key) const {
    for (std::size_t i = 0; i + 1 < dict_->elements.size(); i += 2) {
      const auto* const here = std::get_if<std::string_view>(&dict_->elements[i]);
      if (here != nullptr && *here == key) return true;
    }
    return false;
  }

  Members dict(std::string_view key) const { return {at(key), path_of(key)}; }
  Members dict(std::int64_t key) const { return {at(key), path_of(key)}; }

  /// A whole number of at least 0.
  std::int64_t count(std::string_view key) const {
    const auto* const value = std::get_if<std::int64_t>(&at(key));
    if (value == nullptr || *value < 0) refuse(key, "a count");
    return *value;
  }

  template <typename T>
  T get(std::string_view key, const char* what) const {
    const T* const value = std::get_if<T>(&at(key));
    if (value == nullptr) refuse(key, what);
    return *value;
  }

  const Object& list(std::string_view key) const {
    const auto* const value = std::get_if<Object*>(&at(key));
    if (value == nullptr || (*value)->kind != Object::Kind::list) refuse(key, "a list");
    return **value;
  }

  const Object& raw() const { return *dict_; }

 private:
  template <typename Key>
  std::string path_of(const Key& key) const {
    return path_.empty() ? fmt::format("{}", key) : fmt::format("{} -> {}", path_, key);
  }

  [[noreturn]] void refuse(std::string_view key, const char* what) const {
    throw Error(fmt::format("its entry {} is not {}", quote(path_of(key)), what));
  }

  std::string path_;
  const Object* dict_;
};

constexpr std::string_view kAdvice = "it is damaged";

std::vector<std::string> names_in(const Object& list) {
  std::vector<std::string> names;
  for (const Value& value : list.elements) {
    const auto* const name = std::get_if<std::string_view>(&value);
    if (name == nullptr || !is_tensor_name(*name)) throw Error("a parameter has no name");
    names.emplace_back(*name);
  }
  return names;
}

/// The name of the parameter with that number.
const std::string& name_of(const Value& number, const std::vector<std::string>& parameters) {
  const auto* const index = std::get_if<std::int64_t>(&number);
  if (index == nullptr || *index < 0 || *index >= std::ssize(parameters)) {
    throw Error("its optimizer has a parameter that is none");
  }
  return parameters[static_cast<std::size_t>(*index)];
}

/// The tensors of each parameter, named and in the order of a snapshot: all exp_avg, then all exp_avg_sq.
StateDict read_optimizer(const Members& optimizer, const std::vector<std::string>& parameters,
                         TensorCollector& collector) {
  const Members states = optimizer.dict("state");
  std::vector<StateDict> slots;
  const std::vector<Value>& elements = states.raw().elements;  // number and dict, one behind the other
  for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
    const std::string& name = name_of(elements[i], parameters);
    const Members of_one = states.dict(std::get<std::int64_t>(elements[i]));
    std::size_t slot = 0;
    for (auto& [kept, tensor] : collector.state(of_one.raw(), kAdvice)) {
      if (kept == "step") continue;  // the counter says the same
      if (i == 0) slots.emplace_back();
      if (slot == slots.size()) throw Error(fmt::format("parameter {} has more state than the first", name));
      slots[slot++].emplace_back(fmt::format("{}.{}", kept, name), std::move(tensor));
    }
  }
  StateDict result;
  for (StateDict& slot : slots) std::ranges::move(slot, std::back_inserter(result));
  return result;
}

/// The names in one of its groups; none if it has fewer.
std::vector<std::string> names_in_group(const Members& optimizer, std::size_t group,
                                        const std::vector<std::string>& parameters) {
  const Object& groups = optimizer.list("param_groups");
  std::vector<std::string> names;
  if (groups.elements.size() <= group) return names;
  const Members members(groups.elements[group], fmt::format("param_groups -> {}", group));
  for (const Value& number : members.list("params").elements) names.push_back(name_of(number, parameters));
  return names;
}

}  // namespace

SavedTraining training_from_pickle(std::string_view pickle, const StorageReader& read_storage,
                                   std::uint64_t max_elements) {
  const pickle::Document document = pickle::unpickle(pickle);
  const Members root(document.root, "");
  const Members convoy = root.dict("convoy");
  if (const std::int64_t format = convoy.count("format"); format != 1) {
    throw Error(fmt::format("its format is {}, of a newer Convoy; this one reads format 1", format));
  }
  TensorCollector collector(read_storage, max_elements);
  SavedTraining saved;
  TrainingSnapshot& snapshot = saved.snapshot;
  snapshot.model = collector.state(root.dict("model").raw(), kAdvice);
  snapshot.parameters = names_in(convoy.list("parameters"));
  const Members optimizer = root.dict("optimizer");
  snapshot.optimizer = read_optimizer(optimizer, snapshot.parameters, collector);
  snapshot.undecayed = names_in_group(optimizer, 1, snapshot.parameters);  // the decayed are in the first
  if (root.has("muon")) {
    const Members muon = root.dict("muon");
    std::ranges::move(read_optimizer(muon, snapshot.parameters, collector),
                      std::back_inserter(snapshot.optimizer));
    snapshot.orthogonalized = names_in_group(muon, 0, snapshot.parameters);
  }
  snapshot.counter = convoy.count("counter");
  snapshot.total_steps = convoy.count("total_steps");
  snapshot.average_count = convoy.count("average_count");
  snapshot.average = collector.state(convoy.dict("average").raw(), kAdvice);
  if (convoy.has("ema_count")) {  // files from before there was a moving average have none
    snapshot.ema_count = convoy.count("ema_count");
    snapshot.ema = collector.state(convoy.dict("ema").raw(), kAdvice);
  }
  snapshot.position = {.epoch = convoy.count("epoch"),
                       .step = convoy.count("step"),
                       .settled = convoy.get<bool>("settled", "a truth value")};
  snapshot.metrics = {.last_loss = convoy.get<double>("last_loss", "a number"),
                      .loss_sum = convoy.get<double>("loss_sum", "a number"),
                      .correct = convoy.count("correct"),
                      .samples = convoy.count("samples")};
  saved.notes = convoy.get<std::string_view>("notes", "a text");
  return saved;
}

}  // namespace convoy
