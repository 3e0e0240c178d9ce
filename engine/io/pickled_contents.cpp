#include "engine/io/pickled_contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "convoy/error.h"
#include "engine/io/pickled_words.h"
#include "engine/io/tensor_collector.h"

namespace convoy {
namespace {

using pickle::Object;
using pickle::Value;

constexpr int kDepth = 8;
constexpr std::size_t kMaxValues = 200;  // that are listed
constexpr std::size_t kShortList = 8;    // which is told again where it is again
constexpr std::size_t kMaxTensors = 100'000;
constexpr std::size_t kMaxName = 256;  // of a tensor, which a hostile pickle may repeat

/// A name as it is, or if it is long its beginning. Who prints it has to escape it.
std::string shortened(std::string_view name) {
  return name.size() <= kMaxName ? std::string(name) : std::string(name.substr(0, kMaxName)) + "...";
}

/// Gives the same number, from 1 upwards, to the same key.
template <typename Key>
std::size_t number_of(const Key& key, std::map<Key, std::size_t>& numbers) {
  return numbers.try_emplace(key, numbers.size() + 1).first->second;
}

/// Goes through the dicts and lists of a pickle, each once: a hostile one may refer to one a million times.
class Walk {
 public:
  Walk(const StorageReader& read_storage, std::uint64_t max_elements)
      : collector_(read_storage, max_elements) {}

  FileContents take() { return std::move(contents_); }

  void add_root(const Value& root) {
    if (as_dict(root) == nullptr && as_sequence(root) == nullptr) {
      contents_.values.emplace_back("content", words_of(root));
      return;
    }
    const Object& holder = *std::get<Object*>(root);
    positions_.emplace(&holder, Position{});
    add(holder, 0);
  }

  /// The number of the group that a dict's tensors are; none for a dict that has no tensors.
  std::optional<std::size_t> group_of(const Object& dict) const {
    const auto found = groups_.find(&dict);
    return found == groups_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  /// A value is element `index` of its holder, which is null for the root. Places are put into words only for
  /// what is listed.
  struct Position {
    const Object* holder = nullptr;
    std::size_t index = 0;
  };

  static std::string key_of(const Position& at) {
    const bool is_dict = at.holder->kind == Object::Kind::dict;
    return is_dict ? words_of(at.holder->elements[at.index - 1]) : std::to_string(at.index);
  }

  std::string place_of(const Position& at) const {
    if (at.holder == nullptr) return "";
    const std::string above = place_of(positions_.at(at.holder));
    return above.empty() ? key_of(at) : above + " -> " + key_of(at);
  }

  /// Adds what a dict or a list holds.
  void add(const Object& holder, int depth) {
    const bool is_dict = holder.kind == Object::Kind::dict;
    const std::size_t step = is_dict ? 2 : 1;
    for (std::size_t i = step - 1; i < holder.elements.size(); i += step) {
      const Position here{&holder, i};
      if (may_be_tensor(holder.elements[i])) {
        add_tensor(here);
      } else {
        add_other(here, depth);
      }
    }
  }

  void add_tensor(const Position& at) {
    if (++tensors_ > kMaxTensors) throw Error(fmt::format("it has more than {} tensors", kMaxTensors));
    const auto [group, is_new] = groups_.try_emplace(at.holder, contents_.groups.size());
    if (is_new) contents_.groups.push_back({place_of(positions_.at(at.holder)), {}});
    const bool is_dict = at.holder->kind == Object::Kind::dict;
    const auto* const name =
        is_dict ? std::get_if<std::string_view>(&at.holder->elements[at.index - 1]) : nullptr;
    contents_.groups[group->second].tensors.push_back(
        stored(at.holder->elements[at.index], name == nullptr ? key_of(at) : shortened(*name)));
  }

  void add_value(const Position& at, std::string words) {
    if (contents_.values.size() == kMaxValues) {
      ++contents_.left_out;
    } else {
      contents_.values.emplace_back(place_of(at), std::move(words));
    }
  }

  void add_other(const Position& at, int depth) {
    const Value& value = at.holder->elements[at.index];
    const Object* const list = as_sequence(value);
    const Object* const holder = list != nullptr ? list : as_dict(value);
    if (holder == nullptr) return add_value(at, words_of(value));
    if (const auto known = positions_.find(holder); known != positions_.end()) {
      if (contents_.values.size() == kMaxValues) return add_value(at, "");
      const std::string place = place_of(known->second);
      return add_value(at, place.empty() ? "the whole again" : "the same as " + place);
    }
    if (depth == kDepth) return add_value(at, "...");
    std::string words = list == nullptr ? "" : words_of_list(*list);
    const bool is_short = !words.empty() && list->elements.size() <= kShortList;
    if (!is_short) positions_.emplace(holder, at);
    if (words.empty()) return add(*holder, depth + 1);
    add_value(at, std::move(words));
  }

  StoredTensor stored(const Value& value, std::string name) {
    StoredTensor tensor{.name = std::move(name)};
    summarize_into(tensor, [&] {
      const TensorRecord record = tensor_record(value);
      tensor.shape = record.shape;
      tensor.type = record.storage.foreign.empty() ? std::string(name_of(record.storage.type))
                                                   : shortened(record.storage.foreign);
      tensor.storage = number_of(record.storage.key, storages_);
      const auto sizes = record.shape.dimensions();
      tensor.view = number_of(
          View{tensor.storage, record.offset, {sizes.begin(), sizes.end()}, record.strides}, views_);
      return collector_.tensor(value);
    });
    return tensor;
  }

  using View = std::tuple<std::size_t, std::int64_t, std::vector<std::int64_t>, std::vector<std::int64_t>>;

  TensorCollector collector_;
  FileContents contents_;
  std::size_t tensors_ = 0;
  std::unordered_map<const Object*, Position> positions_;  // of the dicts and lists that were gone through
  std::unordered_map<const Object*, std::size_t> groups_;
  std::map<std::string_view, std::size_t> storages_;
  std::map<View, std::size_t> views_;
};

/// Whether a pickle is of what save_training writes.
bool is_training(const Value& root) {
  const auto entry = [](const Object* dict, std::string_view key) -> const Value* {
    if (dict == nullptr) return nullptr;
    for (std::size_t i = 0; i + 1 < dict->elements.size(); i += 2) {
      if (dict->elements[i] == Value(key)) return &dict->elements[i + 1];
    }
    return nullptr;
  };
  const Value* const convoy = entry(as_dict(root), "convoy");
  return convoy != nullptr && entry(as_dict(*convoy), "format") != nullptr;
}

ElementSummary summary_of(const HostTensor& tensor) {
  ElementSummary summary;
  double sum = 0.0;
  for (const double value : tensor.values) {
    if (std::isnan(value)) {
      ++summary.nan;
    } else if (std::isinf(value)) {
      ++summary.infinite;
    } else {
      summary.min = summary.finite == 0 ? value : std::min(summary.min, value);
      summary.max = summary.finite == 0 ? value : std::max(summary.max, value);
      sum += value;
      ++summary.finite;
    }
  }
  if (summary.finite > 0) summary.mean = sum / static_cast<double>(summary.finite);
  return summary;
}

}  // namespace

void summarize_into(StoredTensor& tensor, const std::function<HostTensor()>& read) {
  try {
    tensor.elements = summary_of(read());
  } catch (const NotRead& error) {
    tensor.reading = Reading::not_read;
    tensor.problem = error.what();
  } catch (const Error& error) {
    tensor.reading = Reading::damaged;
    tensor.problem = error.what();
  }
}

const char* name_of(ElementType type) {
  switch (type) {
    case ElementType::float16:
      return "float16";
    case ElementType::bfloat16:
      return "bfloat16";
    case ElementType::float32:
      return "float32";
    case ElementType::float64:
      return "float64";
    case ElementType::int32:
      return "int32";
    case ElementType::int64:
      break;
  }
  return "int64";
}

FileContents contents_of_pickle(std::string_view pickle, const StorageReader& read_storage,
                                std::uint64_t max_elements) {
  const pickle::Document document = pickle::unpickle(pickle);
  Walk walk(read_storage, max_elements);
  walk.add_root(document.root);
  FileContents contents = walk.take();
  if (is_training(document.root)) contents.kind = "a training's state, as convoy train keeps it";
  contents.state = contents.groups.size();
  try {
    const auto [dict, place] = state_place(document);
    if (const auto group = walk.group_of(*dict)) {
      contents.state = *group;
      contents.groups[*group].place = place;  // the nearest, if it is in several
    }
  } catch (const Error& error) {
    contents.refusal = error.what();
  }
  return contents;
}

}  // namespace convoy
