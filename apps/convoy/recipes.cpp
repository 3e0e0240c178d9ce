// convoy recipes: which trainings come with the program, and what they reach.
#include "apps/convoy/recipes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>

#include "apps/convoy/commands.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/terminal.h"
#include "convoy/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct Field {
  const char* table;
  const char* key;
  std::string Recipe::*member;
};

constexpr auto kFields = std::to_array<Field>({{"recipe", "description", &Recipe::description},
                                               {"recipe", "reaches", &Recipe::reaches},
                                               {"recipe.measured", "machine", &Recipe::machine},
                                               {"recipe.measured", "command", &Recipe::command},
                                               {"recipe.measured", "date", &Recipe::date}});

fs::path recipes_folder() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  // The second is of a program that was built here and not installed.
  for (const fs::path& folder : {program / CONVOY_RECIPES_FROM_PROGRAM, fs::path(CONVOY_RECIPES_IN_SOURCE)}) {
    if (fs::is_directory(folder, ignored)) return folder.lexically_normal();
  }
  throw Error(fmt::format("there are no recipes in {}, which is where an installation has them",
                          (program / CONVOY_RECIPES_FROM_PROGRAM).lexically_normal().string()));
}

std::vector<fs::path> recipe_files() {
  std::vector<fs::path> files;
  const fs::path folder = recipes_folder();
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  }
  if (failure) throw Error(fmt::format("{}: {}", folder.string(), failure.message()));
  std::ranges::sort(files);
  return files;
}

Recipe recipe_in(const fs::path& file) {
  Recipe recipe;
  recipe.name = file.stem().string();
  recipe.file = file;
  for (const ConfigEntry& entry : read_config(file)) {
    for (const Field& field : kFields) {
      if (entry.table == field.table && entry.key == field.key) recipe.*field.member = entry.values.front();
    }
  }
  for (const Field& field : kFields) {
    if (!(recipe.*field.member).empty()) continue;
    throw UsageError(fmt::format("{}: its table [{}] has no {}", file.string(), field.table, field.key));
  }
  return recipe;
}

int run_recipes(bool json) {
  for (const Recipe& recipe : recipes()) {
    if (json) {
      emit({{"event", "recipe"},
            {"name", recipe.name},
            {"description", recipe.description},
            {"reaches", recipe.reaches},
            {"machine", recipe.machine},
            {"command", recipe.command},
            {"date", recipe.date},
            {"file", recipe.file.string()}});
    } else {
      put(fmt::format("{}\n  {}\n  reaches   {}\n  measured  {}, on {}\n            {}\n", bold(recipe.name),
                      recipe.description, recipe.reaches, recipe.date, recipe.machine, recipe.command));
    }
  }
  return 0;
}

}  // namespace

std::vector<Recipe> recipes() {
  std::vector<Recipe> all;
  for (const fs::path& file : recipe_files()) all.push_back(recipe_in(file));
  return all;
}

fs::path recipe_file(const std::string& name) {
  std::vector<std::string> names;
  for (const fs::path& file : recipe_files()) {
    names.push_back(file.stem().string());
    if (names.back() == name) return file;
  }
  throw UsageError(fmt::format("there is no recipe '{}': known are {} (see convoy recipes)", name,
                               fmt::join(names, ", ")));
}

bool describes_recipe(const ConfigEntry& entry) {
  return std::ranges::any_of(
      kFields, [&](const Field& field) { return entry.table == field.table && entry.key == field.key; });
}

Command add_recipes(CLI::App& program) {
  const auto json = std::make_shared<bool>(false);
  CLI::App& command = *program.add_subcommand("recipes", "List the trainings that come with the program");
  add_json_flag(command, *json);
  set_footer(command,
             "  convoy recipes\n"
             "  convoy train --recipe classic\n"
             "  convoy train --recipe classic --print-config   # all of its flags\n");
  return {&command, [json] { return run_recipes(*json); }};
}

}  // namespace convoy
