#include "apps/convoy/recorded_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "convoy/error.h"

namespace convoy {
namespace {

// Of one call of the program, not of the training.
constexpr std::array<std::string_view, 8> kOfTheCall = {
    "--help", "--resume", "--allow-changes", "--overwrite", "--out", "--json", "--verbose", "--summary"};
// They change what is told and kept, or where the same data lie: a checksum shows whether they are the same.
constexpr std::array<std::string_view, 7> kOfNoBit = {
    "--log-every", "--save-every", "--keep", "--profile", "--check-finite", "--data", "--plan-cache"};

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string name_of(const CLI::Option& option) { return option.get_name(); }

std::vector<std::string> values_of(const CLI::Option& option) {
  const std::string name = name_of(option);
  std::vector<std::string> values = option.reduced_results();
  const bool is_path = name == "--data" || name == "--init" ||
                       (name == "--model" && std::filesystem::path(values.back()).extension() == ".json");
  if (is_path) values = {std::filesystem::absolute(values.back()).lexically_normal().string()};
  return values;
}

/// Numbers are compared as such: 1e-3 is 0.001.
bool same_value(const std::string& a, const std::string& b) {
  char *end_a = nullptr, *end_b = nullptr;
  const double x = std::strtod(a.c_str(), &end_a), y = std::strtod(b.c_str(), &end_b);
  const bool numbers = !a.empty() && !b.empty() && *end_a == '\0' && *end_b == '\0';
  return a == b || (numbers && x == y);
}

bool same_values(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::ranges::equal(a, b, same_value);
}

std::string in_words(const std::string& name, const std::vector<std::string>& values) {
  if (values.empty()) return "without " + name;
  if (values == std::vector<std::string>{"true"}) return "with " + name;
  return fmt::format("with {} {}", name, fmt::join(values, " "));
}

/// The flags of a run.json. Throws UsageError if they are not what given_flags wrote.
std::vector<std::string> recorded_values(const Json& recorded, const std::string& name,
                                         const std::string& run) {
  const auto found = recorded.find(name);
  if (found == recorded.end()) return {};
  const bool texts = found->is_array() && !found->empty() &&
                     std::ranges::all_of(*found, [](const Json& value) { return value.is_string(); });
  if (!texts) throw UsageError(fmt::format("{}/run.json: its flag {} has no values", run, name));
  return found->get<std::vector<std::string>>();
}

}  // namespace

Json given_flags(const CLI::App& command) {
  Json flags = Json::object();
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0 && !contains(kOfTheCall, name_of(*option))) {
      flags[name_of(*option)] = values_of(*option);
    }
  }
  return flags;
}

void take_over_flags(CLI::App& command, const Json& recorded, const std::string& run, bool changes_allowed) {
  std::vector<std::string> differences;
  for (CLI::Option* option : command.get_options()) {
    const std::string name = name_of(*option);
    if (contains(kOfTheCall, name)) continue;
    const std::vector<std::string> before = recorded_values(recorded, name, run);
    if (option->count() == 0) {
      if (before.empty()) continue;
      option->add_result(before);
      option->run_callback();
      continue;
    }
    if (contains(kOfNoBit, name)) continue;
    const std::vector<std::string> now = values_of(*option);
    const std::string otherwise = option->get_default_str();
    const std::vector<std::string> was =
        before.empty() && !otherwise.empty() ? std::vector{otherwise} : before;
    if (!same_values(was, now)) {
      differences.push_back(fmt::format("{}, not {}", in_words(name, was), in_words(name, now)));
    }
  }
  if (differences.empty() || changes_allowed) return;
  throw UsageError(
      fmt::format("{} was begun {}: leave out what differs, or go on with --allow-changes, which gives other "
                  "bits than a training that was never interrupted",
                  run, fmt::join(differences, "; ")));
}

}  // namespace convoy
