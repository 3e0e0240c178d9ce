#include "engine/model/model_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "convoy/error.h"
#include "engine/model/layer_keys.h"
#include "engine/model/preparation_json.h"
#include "engine/model/text.h"
#include "engine/model/torch_layers.h"

namespace convoy {
namespace {

constexpr std::size_t kMaxValue = 64;

/// As JSON, whatever bytes a string has.
std::string dump_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

class Reader {
 public:
  /// Reads `json`. `where` is its name in messages, such as "m.json: layer 'fc' (Linear)". `prefix` is put in
  /// front of the names of the layers inside.
  Reader(const Json& json, std::string where, std::string source, std::string prefix)
      : json_(json), where_(std::move(where)), source_(std::move(source)), prefix_(std::move(prefix)) {}

  template <typename Value>
  void required(const char* key, Value& value) {
    if (!json_.contains(key)) fail(fmt::format("needs the key '{}'", key));
    optional(key, value);
  }

  template <typename Value>
  void optional(const char* key, Value& value) {
    known_.emplace_back(key);
    if (const auto entry = json_.find(key); entry != json_.end()) read(key, *entry, value);
  }

  /// As optional; null, which is torch.nn's default for it, leaves the struct's.
  template <typename Value>
  void optional_or_null(const char* key, Value& value) {
    const auto entry = json_.find(key);
    if (entry != json_.end() && entry->is_null()) return allow(key);
    optional(key, value);
  }

  /// Accepts torch.nn's key with that value alone. An extent may be written as two equal numbers.
  void fixed(const char* key, const Json& value) {
    known_.emplace_back(key);
    const auto entry = json_.find(key);
    if (entry == json_.end() || *entry == value || *entry == Json::array({value, value})) return;
    fail(fmt::format("'{}' may only be {} here, which is the default, but is {}", key, value.dump(),
                     one_line(dump_of(*entry), kMaxValue)));
  }

  /// Accepts torch.nn's key with any value of the type of `value`.
  void ignored(const char* key, const Json& value) {
    known_.emplace_back(key);
    const auto entry = json_.find(key);
    if (entry != json_.end() && entry->type() != value.type()) fail_type(key, *entry, value.type_name());
  }

  /// Accepts a key that was read elsewhere.
  void allow(const char* key) { known_.emplace_back(key); }

  void refuse_unknown_keys() const {
    for (const auto& [key, value] : json_.items()) {
      if (std::ranges::find(known_, key) == known_.end()) {
        fail(fmt::format("unknown key {}; {}", in_quotes(key), suggestion(key, known_)));
      }
    }
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw UsageError(fmt::format("{}: {}", where_, problem));
  }

 private:
  [[noreturn]] void fail_type(const std::string& key, const Json& json, std::string_view wanted) const {
    fail(fmt::format("'{}' must be {}, but is of type {}", key, wanted, json.type_name()));
  }

  void read(const std::string& key, const Json& json, std::int64_t& value) const {
    if (!json.is_number()) fail_type(key, json, "an integer");
    // Unsigned numbers may lie above int64's range; get() would wrap them around.
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    if (!json.is_number_integer() || (json.is_number_unsigned() && json.get<std::uint64_t>() > kMax)) {
      fail(fmt::format("'{}' must be an integer, but is {}", key, json.dump()));
    }
    value = json.get<std::int64_t>();
  }

  void read(const std::string& key, const Json& json, Extent& value) const {
    if (json.is_array()) {
      if (json.size() != value.size()) {
        fail(
            fmt::format("'{}' must be one integer or [height, width], but has {} entries", key, json.size()));
      }
      for (std::size_t axis = 0; axis < value.size(); ++axis) read(key, json[axis], value[axis]);
    } else {
      read(key, json, value[0]);
      value[1] = value[0];
    }
  }

  void read(const std::string& key, const Json& json, double& value) const {
    if (!json.is_number()) fail_type(key, json, "a number");
    value = json.get<double>();
  }

  void read(const std::string& key, const Json& json, bool& value) const {
    if (!json.is_boolean()) fail_type(key, json, "true or false");
    value = json.get<bool>();
  }

  void read(const std::string& key, const Json& json, std::string& value) const {
    if (!json.is_string()) fail_type(key, json, "a string");
    value = json.get<std::string>();
  }

  void read(const std::string& key, const Json& json, Shape& value) const {
    if (!json.is_array()) fail_type(key, json, "an array of integers");
    constexpr std::size_t kMaxRank = 8;  // keeps messages short; infer() checks the rank
    if (json.size() > kMaxRank)
      fail(fmt::format("'{}' has {} entries, which are too many", key, json.size()));
    std::vector<std::int64_t> dimensions(json.size());
    for (std::size_t axis = 0; axis < dimensions.size(); ++axis) read(key, json[axis], dimensions[axis]);
    value = Shape(std::move(dimensions));
  }

  void read(const std::string& key, const Json& json, std::vector<NamedLayer>& value) const {
    if (!json.is_array()) fail_type(key, json, "an array of layers");
    value.clear();
    for (std::size_t i = 0; i < json.size(); ++i) {
      value.push_back(read_layer(json[i], fmt::format("{}[{}]", key, i)));
    }
  }

  void read(const std::string& key, const Json& json, std::optional<Preparation>& value) const {
    value = preparation_of_json(json, fmt::format("{}: '{}'", where_, key));
  }

  NamedLayer read_layer(const Json& json, const std::string& position) const {
    const std::string where = fmt::format("{}, {}", where_, position);  // until its name is known
    if (!json.is_object()) throw UsageError(fmt::format("{}: a layer must be an object", where));
    Reader head(json, where, source_, prefix_);
    NamedLayer named;
    std::string type;
    head.required("name", named.name);
    head.required("type", type);

    const std::string name = prefix_ + named.name;
    named.layer = prototype(type, fmt::format("{}: layer {}", source_, in_quotes(name)));
    Reader body(json, fmt::format("{}: layer {} ({})", source_, in_quotes(name), type), source_, name + ".");
    body.allow("name");
    body.allow("type");
    std::visit([&](auto& layer) { visit_keys(body, layer); }, named.layer);
    body.refuse_unknown_keys();
    return named;
  }

  static Layer prototype(const std::string& type, const std::string& where) {
    std::vector<std::string> known;
    for (const Layer& layer : layers_of_each_type()) {
      if (type_name(layer) == type) return layer;
      known.push_back(type_name(layer));
    }
    if (std::ranges::find(kOnlyInTorch, type) != kOnlyInTorch.end()) {
      throw UsageError(fmt::format("{}: {} of torch.nn is not among the layers that are known here: {}",
                                   where, in_quotes(type), fmt::join(known, ", ")));
    }
    throw UsageError(fmt::format("{}: unknown type {}; {}", where, in_quotes(type), suggestion(type, known)));
  }

  const Json& json_;
  std::string where_;
  std::string source_;
  std::string prefix_;
  std::vector<std::string> known_;
};

class Writer {
 public:
  template <typename Value>
  void required(const char* key, const Value& value) {
    json_[key] = json(value);
  }

  template <typename Value>
  void optional(const char* key, const Value& value) {
    required(key, value);
  }

  template <typename Value>
  void optional_or_null(const char* key, const Value& value) {
    required(key, value);
  }

  void fixed(const char*, const Json&) {}
  void ignored(const char*, const Json&) {}

  void optional(const char* key, const std::optional<Preparation>& value) {
    if (value) json_[key] = json_of_preparation(*value);
  }

  Json take() { return std::move(json_); }

 private:
  template <typename Value>
  static Json json(const Value& value) {
    return value;
  }

  static Json json(const Extent& value) {
    return value[0] == value[1] ? Json(value[0]) : Json::array({value[0], value[1]});
  }

  static Json json(const Shape& value) {
    Json array = Json::array();
    for (const std::int64_t dimension : value.dimensions()) array.push_back(dimension);
    return array;
  }

  static Json json(const std::vector<NamedLayer>& layers) {
    Json array = Json::array();
    for (const NamedLayer& named : layers) {
      Writer writer;
      writer.required("name", named.name);
      writer.required("type", type_name(named.layer));
      Layer copy = named.layer;  // visit_keys takes a mutable reference
      std::visit([&](auto& layer) { visit_keys(writer, layer); }, copy);
      array.push_back(writer.take());
    }
    return array;
  }

  Json json_ = Json::object();
};

}  // namespace

Model model_of_json(const Json& json, const std::string& source) {
  if (!json.is_object()) throw UsageError(fmt::format("{}: a model must be an object", source));
  Model model;
  Reader reader(json, source, source, "");
  visit_keys(reader, model);
  reader.refuse_unknown_keys();
  return model;
}

Json json_of_model(const Model& model) {
  Writer writer;
  Model copy = model;  // visit_keys takes a mutable reference
  visit_keys(writer, copy);
  return writer.take();
}

}  // namespace convoy
