#include "apps/convoy/command_text.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <span>
#include <string_view>

#include "apps/convoy/recipes.h"
#include "convoy/builtin.h"
#include "convoy/catalog.h"
#include "convoy/error.h"
#include "convoy/fetch.h"

namespace convoy {
namespace {

std::vector<std::string> texts(std::span<const std::string_view> names) {
  return {names.begin(), names.end()};
}

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) names.push_back(recipe.name);
  return names;
}

/// The data sets that fetch gets.
std::vector<std::string> fetched_names() {
  std::vector<std::string> names;
  for (const std::string_view name : dataset_names()) {
    try {
      remote_files(std::string(name));
      names.emplace_back(name);
    } catch (const UsageError&) {  // it has no mirror that can be trusted
    }
  }
  return names;
}

/// What the parser does not know of values: names that are looked up when they are used, files and folders.
const std::map<std::string, ValueChoices>& known_choices() {
  static const std::map<std::string, ValueChoices> known = [] {
    std::vector<std::string> datasets = texts(dataset_names());
    std::map<std::string, ValueChoices> choices = {
        {"--model", {.words = texts(builtin_model_names()), .files = true}},
        {"--recipe", {.words = recipe_names()}},
        {"dataset", {.words = fetched_names()}},
        {"--checkpoint", {.files = true}},
        {"--init", {.files = true}},
        {"--data", {.files = true}},
        {"runs", {.folders = true}},
        {"--out", {.folders = true}}};
    for (const std::string_view name : own_data_names()) datasets.emplace_back(name);
    choices["--dataset"] = {.words = datasets};
    return choices;
  }();
  return known;
}

/// The words of "TEXT:{a,b,c}", as CLI::IsMember describes itself.
std::vector<std::string> words_of_set(const std::string& type) {
  const auto begin = type.find('{'), end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  std::vector<std::string> words;
  for (std::string& word : CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',')) {
    if (std::ranges::find(words, word) == words.end()) words.push_back(std::move(word));
  }
  return words;
}

/// A shell expands what it completes from, so only what stays as it is may be offered.
bool is_plain(const std::string& word) {
  return !word.empty() && std::ranges::all_of(word, [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("._,+-").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

ValueChoices choices_of(const CLI::Option& option, const std::string& name) {
  ValueChoices choices;
  const std::string& text = option.get_option_text();
  const auto known = known_choices().find(name);
  if (known != known_choices().end()) {
    choices = known->second;
  } else {
    choices.words = words_of_set(option.get_type_name());
    const std::string value = text.empty() ? option.get_type_name() : text;
    choices.folders = value == "FOLDER";
    choices.files = value.starts_with("FILE") || (!name.starts_with('-') && choices.words.empty());
  }
  std::erase_if(choices.words, [](const std::string& word) { return !is_plain(word); });
  return choices;
}

/// "INT >= 1", "TEXT", or the text that the flag has for it: "FILE".
std::string value_of(const CLI::Option& option) {
  if (!option.get_option_text().empty()) return option.get_option_text();
  std::string type = option.get_type_name();
  for (auto at = type.find(':'); at != std::string::npos; at = type.find(':', at)) type[at] = ' ';
  const auto set = type.find('{');
  return set == std::string::npos ? type : type.substr(set);  // the set says what "TEXT" does, and more
}

std::vector<std::string> names_of(const std::set<CLI::Option*>& options) {
  std::vector<std::string> names;
  for (const CLI::Option* option : options) names.push_back(option->get_name());
  std::ranges::sort(names);
  return names;
}

FlagText describe(const CLI::Option& option) {
  FlagText flag;
  if (option.nonpositional()) {
    for (const std::string& name : option.get_snames()) flag.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) flag.names.push_back("--" + name);
  } else {
    flag.names = {option.get_name(/*positional=*/true)};
  }
  flag.takes_value = option.get_items_expected_max() > 0;
  flag.value_is_optional = flag.takes_value && option.get_items_expected_min() == 0;
  flag.repeats = option.get_items_expected_max() >= CLI::detail::expected_max_vector_size;
  flag.required = option.get_required();
  if (flag.takes_value) {
    flag.value = value_of(option);
    flag.choices = choices_of(option, flag.names.back());
    flag.fallback = option.get_default_str();
  }
  flag.excludes = names_of(option.get_excludes());
  flag.needs = names_of(option.get_needs());
  flag.help = option.get_description();
  flag.group = option.get_group();
  return flag;
}

CommandText describe(const CLI::App& command) {
  CommandText text{
      .name = command.get_name(), .help = command.get_description(), .footer = command.get_footer()};
  const auto groups = command.get_groups();
  for (const std::string& group : groups) {
    for (const CLI::Option* option : command.get_options()) {
      if (group.empty() || option->get_group() != group) continue;  // without a group it is hidden
      (option->nonpositional() ? text.flags : text.positionals).push_back(describe(*option));
    }
  }
  return text;
}

}  // namespace

std::vector<CommandText> describe_commands(const CLI::App& program) {
  std::vector<CommandText> commands = {describe(program)};
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(describe(*command));
  }
  for (CommandText& command : commands) {
    for (FlagText& argument : command.positionals) {
      if (argument.names.front() != "command") continue;
      argument.choices = {};
      for (std::size_t i = 1; i < commands.size(); ++i) argument.choices.words.push_back(commands[i].name);
    }
  }
  return commands;
}

}  // namespace convoy
