#include "apps/convoy/json_values.h"

#include <cmath>

namespace convoy {
namespace {

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

std::optional<double> number_in(const Json& object, const char* key) {
  const Json* const found = member(object, key);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::string text_in(const Json& object, const char* key) {
  const Json* const found = member(object, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

Json object_in(const Json& object, const char* key) {
  const Json* const found = member(object, key);
  return found != nullptr && found->is_object() ? *found : Json::object();
}

}  // namespace convoy
