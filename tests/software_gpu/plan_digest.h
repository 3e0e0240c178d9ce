// The digest in a plan's file, so that tests can change what it says.
#pragma once

#include <cstdint>
#include <string>

namespace convoy::test {

/// FNV-1a, 64 bits.
inline std::uint64_t plan_digest(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

}  // namespace convoy::test
