// --seeds and what belongs to it.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace convoy {

struct SeedFlags {
  std::vector<std::uint64_t> seeds;  // as given, each once; empty: one training
  std::int64_t at_once = 0;          // 0: as many as there are, but no more than kSeedsAtOnce
};

/// On a GPU without --seeds-at-once: beyond that the launches of one process fill it, as a rule.
inline constexpr std::int64_t kSeedsAtOnce = 8;

/// Adds --seeds alone, for a command that has no more of it.
CLI::Option* add_seeds_flag(CLI::App& command, std::vector<std::uint64_t>& seeds, const std::string& help);

/// --seeds and --seeds-at-once of `convoy train`, whose other flags `command` has already.
void add_seed_flags(CLI::App& command, SeedFlags& flags);

/// "1-8", "1,5,9" or "1-3,7" as numbers. Returns what is wrong, or nothing.
std::string read_seeds(const std::string& text, std::vector<std::uint64_t>& seeds);

/// "1-3, 7".
std::string in_words(const std::vector<std::uint64_t>& seeds);

}  // namespace convoy
