// The flags of `convoy train`.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "apps/convoy/flags.h"
#include "apps/convoy/state_keeper.h"
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

struct TrainFlags {
  DataFlags data = {"mnist", {}};
  ImageFlags images;
  DeviceFlags device;
  std::string model = "convnet";
  TrainOptions options;  // without the optimizer, until optimizer_options() is asked
  OptimizerFlags optimizer;
  std::filesystem::path out;
  std::filesystem::path init;
  std::filesystem::path resume;
  std::int64_t limit_train = 0;
  std::int64_t limit_test = 0;
  std::int64_t validation = 0;
  SaveOptions save;
  bool keep_best = false;
  bool allow_changes = false;
  bool overwrite = false;
  bool json = false;
  bool summary = false;
};

/// All flags of the command. `flags` must outlive it.
void add_train_flags(CLI::App& command, TrainFlags& flags);

/// Throws UsageError for a flag that the chosen optimizer does not have.
OptimizerOptions optimizer_options(const OptimizerFlags& flags);

/// The flags as members of run.json and of the event `run`.
Json describe(const OptimizerFlags& flags);
Json describe(const AugmentationOptions& options);

}  // namespace convoy
