// Trainings with a name, each a file of flags in apps/recipes that says what it reaches, if that is known.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/convoy/config_text.h"

namespace convoy {

/// What the tables [recipe] and [recipe.measured] of its file say.
struct Recipe {
  std::string name;  // of the file, without .toml
  std::filesystem::path file;
  std::string description, reaches;    // [recipe]
  std::string machine, command, date;  // [recipe.measured]
};

/// All recipes by name. They are looked for where the program is installed, else in its source. Throws Error
/// if there are none, UsageError if the table of one is not whole.
std::vector<Recipe> recipes();

/// The file of a recipe. Throws UsageError that lists all of them if there is none of that name.
std::filesystem::path recipe_file(const std::string& name);

/// Whether an entry of a configuration belongs to the tables of a recipe.
bool describes_recipe(const ConfigEntry& entry);

}  // namespace convoy
