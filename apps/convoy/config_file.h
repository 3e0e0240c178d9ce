// The flags of a command as one file: --config reads it, --print-config prints it, a run's folder keeps it.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <map>
#include <string>

#include "apps/convoy/terminal.h"

namespace convoy {

/// --config, --recipe and --print-config.
struct ConfigFlags {
  std::filesystem::path file;
  std::string recipe;
  bool print = false;
};

/// Call it after --resume is added, if the command has that: none of them goes with it.
void add_config_flags(CLI::App& command, ConfigFlags& flags);

/// Gives `command` the flags of the file or the recipe, if there is one, that its command line does not have.
/// Call it when the command line is parsed, before any flag is looked at. A file name in it is relative to
/// its own folder. Throws UsageError that names file, line and key.
void take_config(CLI::App& command, const ConfigFlags& flags);

/// The flags of a training, not of one call of the program, with other values for some: {"--model":
/// "x.json"}.
using ConfigChanges = std::map<std::string, std::string>;

/// As TOML that take_config reads. A flag that has no value is a comment.
std::string config_text(const CLI::App& command, const ConfigChanges& changes = {});

/// As a member of run.json, with a null for each flag that has no value.
Json config_json(const CLI::App& command, const ConfigChanges& changes = {});

}  // namespace convoy
