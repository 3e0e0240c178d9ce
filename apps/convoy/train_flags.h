// The flags of `convoy train` for the optimizer and for augmentation.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>

#include "apps/convoy/terminal.h"
#include "engine/backend/backend.h"

namespace convoy {

/// The flags as given. What is not given has PyTorch's default, except for the learning rate.
struct OptimizerFlags {
  std::string name = "adam";
  double learning_rate = 1e-3;
  std::optional<double> weight_decay;
  std::optional<double> momentum;
  bool nesterov = false;
};

/// --optimizer, --lr, --weight-decay, --momentum and --nesterov.
void add_optimizer_flags(CLI::App& command, OptimizerFlags& flags);

/// Throws UsageError for a flag that the chosen optimizer does not have.
OptimizerOptions optimizer_options(const OptimizerFlags& flags);

/// --shift and --flip.
void add_augmentation_flags(CLI::App& command, AugmentationOptions& options);

/// The flags as members of run.json and of the event `run`.
Json describe(const OptimizerFlags& flags);
Json describe(const AugmentationOptions& options);

}  // namespace convoy
