#include "engine/io/pickled_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/io/quote.h"
#include "engine/io/tensor_collector.h"

namespace convoy {
namespace {

using pickle::Foreign;
using pickle::Object;
using pickle::Value;

constexpr std::size_t kMaxInList = 8;
constexpr std::size_t kMaxWords = 256;  // after which a list is cut
constexpr int kListDepth = 3;

/// Whether a list, and lists of a few elements within it, hold nothing but what words_of tells.
bool is_plain(const Object& list, int depth) {
  return std::ranges::all_of(list.elements, [depth](const Value& element) {
    if (const Object* const inner = as_sequence(element)) {
      return depth < kListDepth && inner->elements.size() <= kMaxInList && is_plain(*inner, depth + 1);
    }
    return !may_be_tensor(element) && as_dict(element) == nullptr;
  });
}

void add_words(const Object& list, std::string& words) {
  words += '[';
  const std::size_t shown = std::min(list.elements.size(), kMaxInList);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) words += ", ";
    if (words.size() > kMaxWords) {
      words += "...]";
      return;
    }
    if (const Object* const inner = as_sequence(list.elements[i])) {
      add_words(*inner, words);
    } else {
      words += words_of(list.elements[i]);
    }
  }
  if (list.elements.size() > shown) words += fmt::format(", ... ({} in all)", list.elements.size());
  words += ']';
}

}  // namespace

const Object* as_sequence(const Value& value) {
  const Object* const list = as_object(value, Object::Kind::list);
  return list != nullptr ? list : as_object(value, Object::Kind::tuple);
}

std::string words_of(const Value& value) {
  if (std::holds_alternative<pickle::None>(value)) return "none";
  if (const auto* const truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* const number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* const number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* const text = std::get_if<std::string_view>(&value)) return quote(*text);
  if (const auto* const text = std::get_if<pickle::LongText>(&value)) {
    return fmt::format("text of {} bytes", text->bytes);
  }
  if (const auto* const foreign = std::get_if<Foreign>(&value)) {
    return quote(fmt::format("{}.{}", foreign->module, foreign->name));
  }
  if (const Foreign* const foreign = as_foreign_object(value)) {
    if (is_numpy_array(*foreign)) return "a NumPy array";
    return "an object of " + quote(fmt::format("{}.{}", foreign->module, foreign->name));
  }
  return "...";
}

std::string words_of_list(const Object& list) {
  std::string words;
  if (is_plain(list, 0)) add_words(list, words);
  return words;
}

}  // namespace convoy
