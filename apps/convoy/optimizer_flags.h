// The flags of `convoy train` that say how parameters are updated.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>

#include "apps/convoy/terminal.h"
#include "convoy/trainer.h"

namespace convoy {

/// The flags as given. What is not given has PyTorch's default, except for the learning rate.
struct OptimizerFlags {
  std::string name = "adam";
  double learning_rate = 1e-3;
  std::optional<double> weight_decay;
  std::optional<double> momentum;
  bool nesterov = false;
};

/// --optimizer, --lr, --weight-decay, --momentum and --nesterov. `flags` must outlive the command.
void add_optimizer_flags(CLI::App& command, OptimizerFlags& flags);

/// Throws UsageError for a flag that the chosen optimizer does not have.
OptimizerOptions optimizer_options(const OptimizerFlags& flags);

/// The flags as members of run.json and of the event `run`.
Json describe(const OptimizerFlags& flags);

}  // namespace convoy
