#include "engine/io/pickled_contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "convoy/error.h"
#include "engine/io/quote.h"
#include "engine/io/tensor_collector.h"
#include "engine/io/tensor_record.h"

namespace convoy {
namespace {

using pickle::Foreign;
using pickle::Object;
using pickle::Value;

constexpr int kDepth = 8;
constexpr std::size_t kMaxValues = 200;  // that are listed
constexpr std::size_t kMaxInList = 8;
constexpr std::size_t kMaxTensors = 100'000;
constexpr std::size_t kMaxName = 256;  // of a tensor or a storage, which a hostile pickle may repeat

const Object* as_sequence(const Value& value) {
  const auto* const object = std::get_if<Object*>(&value);
  if (object == nullptr) return nullptr;
  return (*object)->kind == Object::Kind::list || (*object)->kind == Object::Kind::tuple ? *object : nullptr;
}

/// A value that holds no others, in words.
std::string words_of(const Value& value) {
  if (std::holds_alternative<pickle::None>(value)) return "none";
  if (const auto* const truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* const number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* const number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* const text = std::get_if<std::string_view>(&value)) return quote(*text);
  if (const auto* const foreign = std::get_if<Foreign>(&value)) {
    return quote(fmt::format("{}.{}", foreign->module, foreign->name));
  }
  if (const Foreign* const foreign = as_foreign_object(value)) {
    return "an object of " + quote(fmt::format("{}.{}", foreign->module, foreign->name));
  }
  return "...";
}

/// A list in words, if it holds neither tensors nor dicts; else nothing.
std::string words_of_list(const Object& list) {
  std::string words;
  for (std::size_t i = 0; i < list.elements.size(); ++i) {
    const Value& element = list.elements[i];
    if (may_be_tensor(element) || as_dict(element) != nullptr) return "";
    if (i < kMaxInList) words += (i == 0 ? "" : ", ") + words_of(element);
  }
  if (list.elements.size() > kMaxInList) words += fmt::format(", ... ({} in all)", list.elements.size());
  return fmt::format("[{}]", words);
}

/// A name as it is, or if it is long its beginning.
std::string shortened(std::string_view name) {
  return name.size() <= kMaxName ? std::string(name) : quote(name);
}

/// Goes through the dicts and lists of a pickle, each once: a hostile one may refer to one a million times.
class Walk {
 public:
  Walk(const StorageReader& read_storage, std::uint64_t max_elements)
      : collector_(read_storage, max_elements) {}

  FileContents take() { return std::move(contents_); }

  void add_root(const Value& root) {
    if (as_dict(root) == nullptr && as_sequence(root) == nullptr) return add_value("content", words_of(root));
    const Object& holder = *std::get<Object*>(root);
    visited_.insert(&holder);
    add(holder, "", 0);
  }

 private:
  /// Adds what a dict or a list holds.
  void add(const Object& holder, const std::string& place, int depth) {
    const bool is_dict = holder.kind == Object::Kind::dict;
    const std::size_t step = is_dict ? 2 : 1;
    std::size_t group = contents_.groups.size();
    bool has_group = false;
    for (std::size_t i = 0; i + step <= holder.elements.size(); i += step) {
      const Value& value = holder.elements[i + step - 1];
      const std::string key = is_dict ? words_of(holder.elements[i]) : std::to_string(i);
      if (may_be_tensor(value)) {
        if (!has_group) {
          has_group = true;
          group = contents_.groups.size();
          contents_.groups.push_back({place, {}});
        }
        const auto* const name = is_dict ? std::get_if<std::string_view>(&holder.elements[i]) : nullptr;
        contents_.groups[group].tensors.push_back(stored(value, name == nullptr ? key : shortened(*name)));
      } else {
        add_other(value, place.empty() ? key : place + " -> " + key, depth);
      }
    }
  }

  void add_value(const std::string& place, std::string words) {
    if (contents_.values.size() == kMaxValues) {
      ++contents_.left_out;
    } else {
      contents_.values.emplace_back(place, std::move(words));
    }
  }

  void add_other(const Value& value, const std::string& place, int depth) {
    const Object* const dict = as_dict(value);
    const Object* const list = as_sequence(value);
    if (dict == nullptr && list == nullptr) return add_value(place, words_of(value));
    if (!visited_.insert(dict != nullptr ? dict : list).second) return;
    if (dict != nullptr) return depth < kDepth ? add(*dict, place, depth + 1) : add_value(place, "...");
    if (std::string words = words_of_list(*list); !words.empty()) return add_value(place, std::move(words));
    if (depth < kDepth) return add(*list, place, depth + 1);
    add_value(place, "...");
  }

  StoredTensor stored(const Value& value, std::string name) {
    if (++tensors_ > kMaxTensors) throw Error(fmt::format("it has more than {} tensors", kMaxTensors));
    StoredTensor tensor{.name = std::move(name)};
    try {
      const TensorRecord record = tensor_record(value);
      tensor.shape = record.shape;
      tensor.storage = shortened(record.storage.key);
      tensor.type = name_of(record.storage.type);
      tensor.elements = summarize(collector_.tensor(value));
    } catch (const Error& error) {
      tensor.problem = error.what();
    }
    return tensor;
  }

  TensorCollector collector_;
  FileContents contents_;
  std::size_t tensors_ = 0;
  std::unordered_set<const Object*> visited_;
};

}  // namespace

ElementSummary summarize(const HostTensor& tensor) {
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
  contents.state = contents.groups.size();
  try {
    const std::string place = state_place(document);
    const auto group = std::ranges::find(contents.groups, place, &TensorGroup::place);
    contents.state = static_cast<std::size_t>(group - contents.groups.begin());
  } catch (const Error&) {
    // It holds no state dict, or several.
  }
  return contents;
}

}  // namespace convoy
