#include "engine/model/preparation_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "convoy/error.h"
#include "engine/core/utf8.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 4> kFramings = {"mnist", "fit", "none", "crop"};
const std::vector<std::string> kKeys = {"dataset",    "mean",    "std",        "framing",
                                        "background", "classes", "transposed", "left_transposed"};
constexpr std::array<const char*, 3> kBackgrounds = {"dark", "light", "mixed"};

std::string text(const Json& json, const std::string& where) {
  if (!json.is_string()) throw UsageError(fmt::format("{} must be a string", where));
  return json.get<std::string>();
}

template <typename Enumeration, std::size_t count>
Enumeration word(const Json& json, const std::array<const char*, count>& known, const std::string& where) {
  const std::string name = text(json, where);
  const auto found = std::ranges::find(known, name);
  if (found == known.end()) {
    throw UsageError(fmt::format("{}: unknown word {}; {}", where, in_quotes(name),
                                 suggestion(name, {known.begin(), known.end()})));
  }
  return static_cast<Enumeration>(found - known.begin());
}

/// One finite number or one for each channel.
std::vector<float> numbers(const Json& json, const std::string& where) {
  constexpr std::size_t kMost = 4096;  // channels: far more than images have
  std::vector<float> values;
  const Json list = json.is_array() ? json : Json::array({json});
  const bool all_finite = std::ranges::all_of(
      list, [](const Json& value) { return value.is_number() && std::isfinite(value.get<float>()); });
  if (!all_finite || list.empty() || list.size() > kMost) {
    throw UsageError(fmt::format("{} must be a number, or one for each channel", where));
  }
  for (const Json& value : list) values.push_back(value.get<float>());
  return values;
}

/// The names of classes.
std::vector<std::string> names(const Json& json, const std::string& where) {
  constexpr std::size_t kMost = 65536;  // far more than a model tells apart
  const bool all_plain = json.is_array() && std::ranges::all_of(json, [](const Json& value) {
                           return value.is_string() && is_plain_utf8(value.get_ref<const std::string&>());
                         });
  if (!all_plain || json.size() > kMost) {
    throw UsageError(fmt::format("{} must be a list of names without control characters", where));
  }
  return json.get<std::vector<std::string>>();
}

/// As the decimal that was most likely meant: 0.1307, not 0.13070000708103180.
Json decimals(const std::vector<float>& values) {
  Json list = Json::array();
  for (const float value : values) list.push_back(std::stod(fmt::format("{}", value)));
  return list;
}

}  // namespace

std::span<const char* const> framing_names() { return kFramings; }
std::span<const char* const> background_names() { return kBackgrounds; }

Preparation preparation_of_json(const Json& json, const std::string& where) {
  if (!json.is_object()) throw UsageError(fmt::format("{} must be an object", where));
  Preparation result;
  for (const auto& [key, value] : json.items()) {
    const std::string at = fmt::format("{}: {}", where, in_quotes(key));
    if (key == "dataset") {
      result.dataset = text(value, at);
    } else if (key == "mean") {
      result.normalization.mean = numbers(value, at);
    } else if (key == "std") {
      result.normalization.std = numbers(value, at);
      if (std::ranges::min(result.normalization.std) <= 0.0f) {
        throw UsageError(fmt::format("{} must be above 0", at));
      }
    } else if (key == "framing") {
      result.framing = word<Framing>(value, kFramings, at);
    } else if (key == "background") {
      result.background = word<Background>(value, kBackgrounds, at);
    } else if (key == "classes") {
      result.classes = names(value, at);
    } else if (key == "transposed") {
      if (!value.is_boolean()) throw UsageError(fmt::format("{} must be true or false", at));
      result.transposed = value.get<bool>();
    } else if (key == "left_transposed") {
      if (!value.is_boolean()) throw UsageError(fmt::format("{} must be true or false", at));
      result.left_transposed = value.get<bool>();
    } else {
      throw UsageError(fmt::format("{}: unknown key {}; {}", where, in_quotes(key), suggestion(key, kKeys)));
    }
  }
  return result;
}

Json json_of_preparation(const Preparation& preparation) {
  Json json = {{"dataset", preparation.dataset},
               {"mean", decimals(preparation.normalization.mean)},
               {"std", decimals(preparation.normalization.std)},
               {"framing", kFramings.at(static_cast<std::size_t>(preparation.framing))},
               {"background", kBackgrounds.at(static_cast<std::size_t>(preparation.background))},
               {"transposed", preparation.transposed},
               {"left_transposed", preparation.left_transposed}};
  if (!preparation.classes.empty()) json["classes"] = preparation.classes;
  return json;
}

}  // namespace convoy
