// The command line as data, as the parser knows it: for completions and man pages.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace convoy {

/// What a shell can offer for a value.
struct ValueChoices {
  std::vector<std::string> words;
  bool files = false;
  bool folders = false;  // and no files
};

/// A flag, or a positional argument.
struct FlagText {
  std::vector<std::string> names;  // "--fuse", "--no-fuse"; of a positional argument its name
  std::string value;               // "INT >= 1"; empty for a flag without one
  bool takes_value = false;
  bool value_is_optional = false;
  bool repeats = false;  // takes several values
  bool required = false;
  std::string fallback;  // the value without it; empty: none
  std::vector<std::string> excludes, needs;
  std::string help;
  std::string group;  // "Options", "CUDA"
  ValueChoices choices;
};

/// The program itself, or a subcommand.
struct CommandText {
  std::string name;  // "convoy", "train"
  std::string help;
  std::vector<FlagText> flags;        // in the order of --help
  std::vector<FlagText> positionals;  // likewise
  std::string footer;                 // examples and exit codes
};

/// The program, then its subcommands in the order of --help.
std::vector<CommandText> describe_commands(const CLI::App& program);

}  // namespace convoy
