// How `convoy train` varies its images: the flags, and what a run's folder says of them.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "apps/convoy/terminal.h"
#include "convoy/augmentation.h"
#include "convoy/trainer.h"

namespace convoy {

/// --label-smoothing. `options` must outlive the command.
void add_loss_flags(CLI::App& command, TrainOptions& options);

/// --shift, --flip, --padding, --cutout, --rotate and --scale. `options` must outlive the command.
void add_augmentation_flags(CLI::App& command, AugmentationOptions& options);

/// --tta. `augmentation` must outlive the command.
void add_tta_flag(CLI::App& command, TestTimeAugmentation& augmentation);

/// As for the flag: "none", "flip", "shift" or "flip,shift".
std::string in_words(const TestTimeAugmentation& augmentation);

/// The flags as members of run.json and of the event `run`.
Json describe(const AugmentationOptions& options);

}  // namespace convoy
