// The flags of a training as its run.json keeps them, so that --resume goes on with the same.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "apps/convoy/terminal.h"

namespace convoy {

/// The flags that were given and belong to the training: {"--epochs": ["5"], "--nesterov": ["true"]}. Paths
/// are absolute, so that they hold in another working folder.
Json given_flags(const CLI::App& command);

/// Gives `command` the flags of `recorded` that its command line does not have. One that has another value
/// there, and may change what the training computes, throws UsageError that names all of these, unless
/// `changes_allowed`; --model does so in any case. `run` is the folder, for the message.
void take_over_flags(CLI::App& command, const Json& recorded, const std::string& run, bool changes_allowed);

}  // namespace convoy
