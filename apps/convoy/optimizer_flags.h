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
  std::string decay = "all";  // what weight decay pulls
  double clip_norm = 0.0;
  double ema = 0.0;
  bool muon = false;
  double muon_learning_rate = 0.02;
  std::optional<double> muon_momentum, muon_weight_decay;
  bool muon_linear = false;
};

/// The flags of the struct. `flags` must outlive the command.
void add_optimizer_flags(CLI::App& command, OptimizerFlags& flags);

/// Throws UsageError for a flag that the chosen optimizer does not have.
OptimizerOptions optimizer_options(const OptimizerFlags& flags);

/// Muon, if the flags ask for it. Throws UsageError for a flag of Muon without it.
std::optional<MuonOptions> muon_options(const OptimizerFlags& flags);

/// The optimizer and what goes with it, as the flags say. Throws as optimizer_options.
void set_optimizer(TrainOptions& options, const OptimizerFlags& flags);

/// The flags as members of run.json and of the event `run`.
Json describe(const OptimizerFlags& flags);

}  // namespace convoy
