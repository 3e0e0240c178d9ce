// Small letters, whatever the locale.
#pragma once

#include <string>
#include <string_view>

namespace convoy {

/// The text with the letters A to Z made small; other characters stay.
inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

}  // namespace convoy
