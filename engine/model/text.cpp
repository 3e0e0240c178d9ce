#include "engine/model/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/core/lower_case.h"

namespace convoy {
namespace {

constexpr std::size_t kQuotedLimit = 64;
constexpr std::size_t kNameLimit = 128;

// Not std::isalnum, which depends on the locale.
bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/// How many characters must be inserted, deleted or replaced to turn one word into the other (Levenshtein).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, replaced}));
    }
  }
  return row.back();
}

}  // namespace

std::string one_line(std::string_view text, std::size_t limit) {
  std::string line(text.substr(0, limit));
  std::ranges::replace_if(
      line, [](char c) { return c < ' ' || c > '~'; }, '?');
  if (text.size() > limit) line += "...";
  return line;
}

std::string in_quotes(std::string_view name) { return "'" + one_line(name, kQuotedLimit) + "'"; }

bool is_layer_name(std::string_view name) {
  if (name.empty() || name.size() > kNameLimit || name.front() == '.' || name.back() == '.') return false;
  if (name.find("..") != std::string_view::npos) return false;
  return std::ranges::all_of(name, [](char c) { return c == '.' || is_name_character(c); });
}

std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  const std::size_t close = std::clamp<std::size_t>(word.size() / 3, 1, 2);
  for (std::size_t distance = 0; distance <= close; ++distance) {
    for (const std::string& candidate : known) {
      if (word.size() > candidate.size() + close) continue;  // too long to be close, maybe huge
      if (edit_distance(lower_case(word), lower_case(candidate)) != distance) continue;
      return fmt::format("did you mean '{}'?", candidate);
    }
  }
  return fmt::format("known are {}", fmt::join(known, ", "));
}

}  // namespace convoy
