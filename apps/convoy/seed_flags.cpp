#include "apps/convoy/seed_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <string_view>

#include "apps/convoy/flags.h"

namespace convoy {
namespace {

constexpr std::size_t kMost = 1000;

/// Whether all of `text` is a number of at most 18 digits, of which there is no overflow.
bool read_number(std::string_view text, std::uint64_t& number) {
  constexpr std::size_t kMostDigits = 18;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && text.size() <= kMostDigits;
}

}  // namespace

std::string read_seeds(const std::string& text, std::vector<std::uint64_t>& seeds) {
  const std::string wrong = fmt::format("'{}' is not a list of seeds, as 1-8 or 1,5,9", text);
  seeds.clear();
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = std::string_view(text).substr(begin, end - begin);
    const std::size_t dash = part.find('-');
    std::uint64_t first = 0, last = 0;
    if (!read_number(part.substr(0, dash), first)) return wrong;
    last = first;
    if (dash != std::string_view::npos && !read_number(part.substr(dash + 1), last)) return wrong;
    if (last < first) return wrong;
    if (last - first >= kMost || seeds.size() + (last - first) >= kMost) {
      return fmt::format("'{}' are more than {} seeds", text, kMost);
    }
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      if (std::ranges::find(seeds, seed) != seeds.end()) {
        return fmt::format("'{}' has seed {} twice", text, seed);
      }
      seeds.push_back(seed);
    }
    begin = end + 1;
  }
  return {};
}

std::string in_words(const std::vector<std::uint64_t>& seeds) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < seeds.size();) {
    std::size_t end = i + 1;
    while (end < seeds.size() && seeds[end] == seeds[end - 1] + 1) ++end;
    parts.push_back(end - i > 1 ? fmt::format("{}-{}", seeds[i], seeds[end - 1]) : std::to_string(seeds[i]));
    i = end;
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

CLI::Option* add_seeds_flag(CLI::App& command, std::vector<std::uint64_t>& seeds, const std::string& help) {
  const auto take = [&seeds](const std::string& text) {
    const std::string wrong = read_seeds(text, seeds);
    if (!wrong.empty()) throw CLI::ValidationError("--seeds", wrong);
  };
  return command.add_option_function<std::string>("--seeds", take, help)->option_text("LIST");
}

void add_seed_flags(CLI::App& command, SeedFlags& flags) {
  CLI::Option* const seeds = add_seeds_flag(
      command, flags.seeds,
      "Train once with each of these seeds (1-8 or 1,5,9), in one process, each to the bits of its single "
      "run: on a GPU at the same time, on a CPU one after the other. Ends with the mean and its 95 % "
      "interval. "
      "The folders are runs/MODEL-DATASET-SEED, or OUT/SEED; what has finished there counts, what has not "
      "goes "
      "on");
  for (const char* other : {"--seed", "--resume", "--profile", "--summary"}) {
    seeds->excludes(command.get_option(other));
  }
  command
      .add_option(
          "--seeds-at-once", flags.at_once,
          fmt::format("How many of --seeds share the GPU at a time; without it up to {}", kSeedsAtOnce))
      ->check(at_least(1))
      ->needs(seeds);
}

}  // namespace convoy
