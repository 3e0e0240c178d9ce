// Which weights a training leaves: the last step's, or an average.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "apps/convoy/terminal.h"
#include "convoy/trainer.h"

namespace convoy {

/// --swa and --bn-batches.
void add_averaging_flags(CLI::App& command, TrainOptions& options);

/// Throws UsageError where a flag is given that only an average has.
void check_averaging(const CLI::App& command, const TrainOptions& options);

/// What the text report says of it on its first screen. `record` is the run's.
std::string weights_in_words(const Json& record);

/// A run.json with flags of today: of before `--settle N` became `--swa --bn-batches N` it may be. A note
/// says so.
Json without_settle(Json record, const std::string& run);

}  // namespace convoy
