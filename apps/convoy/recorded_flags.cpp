#include "apps/convoy/recorded_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "apps/convoy/schedule_flags.h"
#include "convoy/error.h"

namespace convoy {
namespace {

// Of one call of the program, not of the training.
constexpr auto kOfTheCall = std::to_array<std::string_view>(
    {"--help", "--resume", "--allow-changes", "--overwrite", "--out", "--json", "--verbose", "--summary",
     "--profile", "--seeds", "--seeds-at-once", "--config", "--recipe", "--print-config"});
// They change what is told and kept, or where the same data lie: a checksum shows whether they are the same.
constexpr auto kOfNoBit = std::to_array<std::string_view>(
    {"--log-every", "--save-every", "--keep", "--check-finite", "--data", "--plan-cache", "--no-plan-cache",
     "--data-memory", "--no-report", "--tensorboard"});
// What the saved state belongs to.
constexpr auto kOfTheState = std::to_array<std::string_view>({"--model"});
// They belong to one optimizer, and are not taken over by another.
constexpr auto kOfTheOptimizer =
    std::to_array<std::string_view>({"--momentum", "--nesterov", "--weight-decay"});

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string name_of(const CLI::Option& option) { return option.get_name(); }

/// Fractions are compared as numbers: 1e-3 is 0.001.
bool same_value(const std::string& a, const std::string& b) {
  const auto is_fraction = [](const std::string& text) {
    return text.find_first_of(".eE") != std::string::npos;
  };
  if (a == b || (!is_fraction(a) && !is_fraction(b))) return a == b;
  double x = 0.0, y = 0.0;
  return CLI::detail::lexical_cast(a, x) && CLI::detail::lexical_cast(b, y) && x == y;
}

std::string in_words(const std::vector<std::string>& values) {
  if (values.empty() || values == std::vector<std::string>{"false"}) return "not given";
  if (values == std::vector<std::string>{"true"} || values == std::vector<std::string>{""}) return "given";
  return fmt::format("{}", fmt::join(values, " "));
}

/// Whether the command line has a flag that excludes this one: --no-transpose for --transpose.
bool is_ruled_out(const CLI::Option& option) {
  return std::ranges::any_of(option.get_excludes(),
                             [](const CLI::Option* other) { return other->count() > 0; });
}

/// The flags of a run.json. Throws UsageError if they are not what given_flags wrote.
std::vector<std::string> values_before(const Json& recorded, const std::string& name,
                                       const std::string& run) {
  const auto found = recorded.find(name);
  if (found == recorded.end()) return {};
  const bool texts = found->is_array() && !found->empty() &&
                     std::ranges::all_of(*found, [](const Json& value) { return value.is_string(); });
  if (!texts) throw UsageError(fmt::format("{}/run.json: its flag {} has no values", run, name));
  auto values = found->get<std::vector<std::string>>();
  // It was a switch before it had modes.
  if (name == "--flip" && (values.front() == "true" || values.front().empty())) values = {"random"};
  return values;
}

/// In words, if there is one. No values are those of the default.
std::optional<std::string> difference(const CLI::Option& option, std::vector<std::string> before,
                                      std::vector<std::string> now) {
  for (std::vector<std::string>* values : {&before, &now}) {
    if (values->empty() && !default_value(option).empty()) *values = {default_value(option)};
  }
  if (same_values(before, now) || in_words(before) == in_words(now)) return std::nullopt;
  return fmt::format("{} was {}, is {}", name_of(option), in_words(before), in_words(now));
}

}  // namespace

bool is_of_the_call(const CLI::Option& option) { return contains(kOfTheCall, name_of(option)); }

std::string default_value(const CLI::Option& option) {
  const bool stands_alone = option.get_items_expected_max() > 0 && option.get_items_expected_min() == 0;
  return stands_alone ? "none" : option.get_default_str();
}

OtherChoices::OtherChoices(const CLI::App& command, std::vector<std::string> optimizer,
                           std::vector<std::string> schedule) {
  const auto is_another = [&](const char* flag, std::vector<std::string> before) {
    const CLI::Option* const option = command.get_option_no_throw(flag);
    if (option == nullptr || option->count() == 0) return false;
    if (before.empty()) before = {default_value(*option)};
    return !same_values(before, recorded_values(*option));
  };
  optimizer_ = is_another("--optimizer", std::move(optimizer));
  schedule_ = is_another("--schedule", std::move(schedule));
  one_cycle_ = schedule_ && recorded_values(*command.get_option("--schedule")).front() == "one-cycle";
}

bool OtherChoices::drop(const std::string& flag) const {
  const bool warms_up = flag == "--warmup" || flag == "--warmup-factor";
  return (optimizer_ && contains(kOfTheOptimizer, flag)) || (schedule_ && is_of_one_schedule(flag)) ||
         (one_cycle_ && warms_up);
}

bool names_path(const CLI::Option& option, const std::string& value) {
  const std::string name = name_of(option);
  return name == "--data" || name == "--init" || name == "--plan-cache" ||
         (name == "--model" && std::filesystem::path(value).extension() == ".json");
}

std::vector<std::string> recorded_values(const CLI::Option& option) {
  std::vector<std::string> values = option.reduced_results();
  if (names_path(option, values.back())) {
    values = {std::filesystem::absolute(values.back()).lexically_normal().string()};
  }
  return values;
}

bool same_values(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::ranges::equal(a, b, same_value);
}

Json given_flags(const CLI::App& command) {
  Json flags = Json::object();
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0 && !is_of_the_call(*option)) {
      flags[name_of(*option)] = recorded_values(*option);
    }
  }
  return flags;
}

std::vector<std::string> differences_of_flags(const CLI::App& command, const Json& recorded,
                                              const Json& given, const std::string& run) {
  std::vector<std::string> differences;
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = name_of(*option);
    if (is_of_the_call(*option) || contains(kOfNoBit, name)) continue;
    const auto differs =
        difference(*option, values_before(recorded, name, run), values_before(given, name, run));
    if (differs) differences.push_back(*differs);
  }
  return differences;
}

void take_over_flags(CLI::App& command, const Json& recorded, const std::string& run, bool changes_allowed) {
  const OtherChoices others(command, values_before(recorded, "--optimizer", run),
                            values_before(recorded, "--schedule", run));
  std::vector<CLI::Option*> taken;
  std::vector<std::string> differences;
  for (CLI::Option* option : command.get_options()) {
    const std::string name = name_of(*option);
    if (is_of_the_call(*option)) continue;
    const std::vector<std::string> before = values_before(recorded, name, run);
    if (option->count() == 0) {
      if (before.empty() || is_ruled_out(*option)) continue;
      if (others.drop(name)) continue;
      option->add_result(before);
      taken.push_back(option);
      continue;
    }
    if (contains(kOfNoBit, name)) continue;
    const std::optional<std::string> differs = difference(*option, before, recorded_values(*option));
    if (!differs) continue;
    differences.push_back(*differs);
    if (contains(kOfTheState, name)) {
      throw UsageError(fmt::format("{}: {}; it cannot change: begin a training of its own with --init", run,
                                   differences.back()));
    }
  }
  if (!differences.empty() && !changes_allowed) {
    throw UsageError(
        fmt::format("{}: {}: leave out what differs, or go on with --allow-changes, which gives other bits "
                    "than a training that was never interrupted",
                    run, fmt::join(differences, "; ")));
  }
  try {
    for (CLI::Option* option : taken) option->run_callback();
  } catch (const CLI::Error& error) {
    throw UsageError(fmt::format("{}/run.json is damaged: {}", run, error.what()));
  }
}

}  // namespace convoy
