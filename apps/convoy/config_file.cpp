#include "apps/convoy/config_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <vector>

#include "apps/convoy/config_text.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/recipes.h"
#include "apps/convoy/recorded_flags.h"
#include "convoy/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

bool is_switch(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

/// Whether the flag can be given to say no: --fuse, as --no-fuse.
bool is_negatable(const CLI::Option& option) { return !option.get_fnames().empty(); }

bool is_list(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

[[noreturn]] void refuse(const ConfigEntry& entry, const std::string& what) {
  throw UsageError(fmt::format("{}: {}", entry.where, what));
}

CLI::Option& option_of(CLI::App& command, const ConfigEntry& entry) {
  const std::string flag = "--" + entry.key;
  CLI::Option* const option = command.get_option_no_throw(flag);
  if (option == nullptr) {
    refuse(entry, fmt::format("convoy {} has no flag {}", command.get_name(), flag));
  }
  if (is_of_the_call(*option)) {
    refuse(entry, "it is of one call of the program: give it on the command line");
  }
  return *option;
}

/// The value of a flag that is not given; none if it has no value then.
std::vector<std::string> default_of(const CLI::Option& option) {
  const std::string text = default_value(option);
  if (text.empty())
    return is_switch(option) && !is_negatable(option) ? std::vector<std::string>{"false"}
                                                      : std::vector<std::string>{};
  if (!is_list(option) || text.front() != '[') return {text};
  return CLI::detail::split(text.substr(1, text.size() - 2), ',');
}

/// The values as the command line would have them; none where the flag need not be given for them.
std::vector<std::string> results_of(const CLI::Option& option, const ConfigEntry& entry,
                                    const fs::path& folder) {
  std::vector<std::string> values = entry.values;
  if (values.size() > 1 && !is_list(option)) {
    refuse(entry, fmt::format("it has {} values and takes one", values.size()));
  }
  if (is_switch(option)) {
    const std::string& value = values.front();
    if (value != "true" && value != "false")
      refuse(entry, fmt::format("'{}' is neither true nor false", value));
    if (is_negatable(option)) return {option.get_flag_value(entry.key, value)};
    if (value == "false") return {};
  }
  if (names_path(option, values.back()) && !values.back().empty()) {
    values = {(folder / values.back()).lexically_normal().string()};
  }
  // So that a file with all flags does not give one that others rule out.
  if (same_values(values, default_of(option))) values.clear();
  return values;
}

/// The flags that a file gives, with where it says so.
class TakenFlags {
 public:
  explicit TakenFlags(CLI::App& command) : command_(command) {
    for (CLI::Option* option : command.get_options()) {
      if (option->count() > 0) given_.push_back(option);
    }
  }

  void take(const ConfigEntry& entry, const fs::path& folder) {
    CLI::Option& option = option_of(command_, entry);
    if (const ConfigEntry* other = taken(option)) {
      refuse(entry, fmt::format("{} says that already", other->where));
    }
    const std::vector<std::string> values = results_of(option, entry, folder);
    const auto& excluded = option.get_excludes();
    const bool ruled_out = std::ranges::any_of(excluded, [&](CLI::Option* other) { return is_given(other); });
    if (values.empty() || is_given(&option) || ruled_out) return;
    for (CLI::Option* other : excluded) {
      if (taken(*other) != nullptr) refuse(entry, fmt::format("it excludes {}", other->get_name()));
    }
    try {
      option.add_result(values);
      option.run_callback();
    } catch (const CLI::Error& error) {
      refuse(entry, error.what());
    }
    taken_.emplace_back(&option, entry);
  }

  void check_needs() const {
    for (const auto& [option, entry] : taken_) {
      for (const CLI::Option* needed : option->get_needs()) {
        if (needed->count() == 0) refuse(entry, fmt::format("it needs {}", needed->get_name()));
      }
    }
  }

 private:
  bool is_given(const CLI::Option* option) const { return std::ranges::count(given_, option) > 0; }

  const ConfigEntry* taken(const CLI::Option& option) const {
    const auto found =
        std::ranges::find_if(taken_, [&](const auto& other) { return other.first == &option; });
    return found == taken_.end() ? nullptr : &found->second;
  }

  CLI::App& command_;
  std::vector<const CLI::Option*> given_;  // on the command line
  std::vector<std::pair<CLI::Option*, ConfigEntry>> taken_;
};

/// What a flag is in a configuration. No values: it has none.
struct Setting {
  std::string key;
  std::vector<std::string> values;
  std::string help;
  bool list = false;
};

std::vector<Setting> settings_of(const CLI::App& command, const ConfigChanges& changes) {
  std::vector<Setting> settings;
  for (const CLI::Option* option : command.get_options()) {
    if (is_of_the_call(*option)) continue;
    Setting setting{option->get_single_name(), {}, option->get_description(), is_list(*option)};
    const auto changed = changes.find(option->get_name());
    if (changed != changes.end()) {
      setting.values = {changed->second};
    } else {
      setting.values = option->count() > 0 ? recorded_values(*option) : default_of(*option);
    }
    settings.push_back(std::move(setting));
  }
  return settings;
}

/// The right side of `key = value`; empty if TOML as it is read here cannot hold it.
std::string toml_of(const Setting& setting) {
  std::vector<std::string> values;
  for (const std::string& value : setting.values) values.push_back(config_value(value));
  if (values.empty() || std::ranges::count(values, "") > 0) return {};
  return setting.list ? fmt::format("[{}]", fmt::join(values, ", ")) : values.front();
}

/// A number and a truth value as such, anything else as text.
Json json_of(const std::string& value) {
  if (config_value(value) == value) {
    Json json = Json::parse(value, nullptr, /*allow_exceptions=*/false);
    if (!json.is_discarded()) return json;
  }
  return value;
}

}  // namespace

void add_config_flags(CLI::App& command, ConfigFlags& flags) {
  auto* const file =
      command
          .add_option(
              "--config", flags.file,
              "Take the flags from a TOML file, as --print-config prints it and a run's folder keeps it "
              "(config.toml); flags of the command line override it")
          ->option_text("FILE")
          ->check(not_empty());
  auto* const recipe = command
                           .add_option("--recipe", flags.recipe,
                                       "Take the flags from one of the recipes that convoy recipes lists")
                           ->option_text("NAME")
                           ->check(not_empty())
                           ->excludes(file);
  auto* const print =
      command.add_flag("--print-config", flags.print, "Print all flags as such a file, and stop");
  if (auto* const resume = command.get_option_no_throw("--resume")) {
    for (auto* const option : {file, recipe, print}) resume->excludes(option);
  }
}

void take_config(CLI::App& command, const ConfigFlags& flags) {
  if (flags.file.empty() && flags.recipe.empty()) return;
  const fs::path file = flags.recipe.empty() ? flags.file : recipe_file(flags.recipe);
  const std::vector<ConfigEntry> entries = read_config(file);
  const auto values_of = [&](const char* key) {
    const auto entry =
        std::ranges::find_if(entries, [&](const ConfigEntry& e) { return e.table.empty() && e.key == key; });
    return entry == entries.end() ? std::vector<std::string>{} : entry->values;
  };
  const OtherChoices others(command, values_of("optimizer"), values_of("schedule"));
  TakenFlags taken(command);
  for (const ConfigEntry& entry : entries) {
    if (entry.table.empty() && others.drop("--" + entry.key)) continue;
    if (entry.table.empty()) {
      taken.take(entry, fs::absolute(file).parent_path());
    } else if (!describes_recipe(entry)) {
      refuse(entry, fmt::format("no table [{}] of a configuration has that", entry.table));
    }
  }
  taken.check_needs();
}

std::string config_text(const CLI::App& command, const ConfigChanges& changes) {
  std::string text = fmt::format("# For convoy {} --config FILE. Flags of the command line override it.\n",
                                 command.get_name());
  for (const Setting& setting : settings_of(command, changes)) {
    const std::string value = toml_of(setting);
    text += fmt::format("\n# {}\n{}{} = {}\n", setting.help, value.empty() ? "# " : "", setting.key, value);
  }
  return text;
}

Json config_json(const CLI::App& command, const ConfigChanges& changes) {
  Json json = Json::object();
  for (const Setting& setting : settings_of(command, changes)) {
    Json& value = json[setting.key];
    if (setting.values.empty()) continue;
    if (!setting.list) {
      value = json_of(setting.values.front());
      continue;
    }
    value = Json::array();
    for (const std::string& item : setting.values) value.push_back(json_of(item));
  }
  return json;
}

}  // namespace convoy
