// The TOML of configurations: flags of a command as `key = value`, and tables that describe them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace convoy {

/// One `key = value` of a file.
struct ConfigEntry {
  std::string table;  // its name as in [table]; empty for what comes before the first
  std::string key;
  std::vector<std::string> values;  // several of a list
  std::string where;                // "FILE:LINE: KEY", for messages
};

/// Reads a file of keys whose values are text in quotes, numbers, truth values, or lists of these on one line
/// or several. Throws UsageError "FILE:LINE: ..." for anything else, and for a key that is there twice; Error
/// if the file cannot be read.
std::vector<ConfigEntry> read_config(const std::filesystem::path& file);

/// `text` as a value: as it is if it is a number or a truth value, else in quotes. Empty if quotes cannot
/// hold it, as where it has a line break.
std::string config_value(const std::string& text);

}  // namespace convoy
