// The flags of a training as its run.json keeps them, so that --resume goes on with the same.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"

namespace convoy {

/// Whether a flag is of one call of the program and not of the training: --out, --json.
bool is_of_the_call(const CLI::Option& option);

/// What an option is if it is not given, empty if nothing; "none" if its value may be left out, where
/// CLI11's default is what that means.
std::string default_value(const CLI::Option& option);

/// The command line's optimizer and schedule, beside those that a run or a file had before: another one takes
/// over none of the flags that belonged to that.
class OtherChoices {
 public:
  /// `optimizer` and `schedule` are the values of before; none: the defaults.
  OtherChoices(const CLI::App& command, std::vector<std::string> optimizer,
               std::vector<std::string> schedule);
  bool drop(const std::string& flag) const;

 private:
  bool optimizer_, schedule_;  // whether it is another one
  bool one_cycle_;             // which warms up itself
};

/// Whether that value of the flag is the name of a file or folder.
bool names_path(const CLI::Option& option, const std::string& value);

/// The values of a flag that was given. Paths are absolute, so that they hold in another working folder.
std::vector<std::string> recorded_values(const CLI::Option& option);

/// Whether both are the same values of a flag: 1e-3 is 0.001.
bool same_values(const std::vector<std::string>& a, const std::vector<std::string>& b);

/// The flags that were given and belong to the training: {"--epochs": ["5"], "--nesterov": ["true"]}, as
/// recorded_values has them.
Json given_flags(const CLI::App& command);

/// How `given`, as given_flags has them, differ from those of a run.json in what may change the training:
/// "--lr was 0.01, is 0.001". `run` is the folder, for messages.
std::vector<std::string> differences_of_flags(const CLI::App& command, const Json& recorded,
                                              const Json& given, const std::string& run);

/// Gives `command` the flags of `recorded` that its command line does not have. One that has another value
/// there, and may change what the training computes, throws UsageError that names all of these, unless
/// `changes_allowed`; --model does so in any case. `run` is the folder, for the message.
void take_over_flags(CLI::App& command, const Json& recorded, const std::string& run, bool changes_allowed);

}  // namespace convoy
