// The flags of `convoy train`.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "apps/convoy/config_file.h"
#include "apps/convoy/early_end.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/optimizer_flags.h"
#include "apps/convoy/schedule_flags.h"
#include "apps/convoy/seed_flags.h"
#include "apps/convoy/state_keeper.h"
#include "apps/convoy/terminal.h"
#include "convoy/trainer.h"

namespace convoy {

struct TrainFlags {
  ConfigFlags config;
  DataFlags data = {"mnist", {}};
  ImageFlags images;
  DeviceFlags device;
  std::string model = "convnet";
  TrainOptions options;  // without the optimizer and its schedule, until optimizer_options() is asked
  OptimizerFlags optimizer;
  ScheduleFlags schedule;
  std::filesystem::path out;
  std::filesystem::path init;
  std::filesystem::path resume;
  std::int64_t limit_train = 0;
  std::int64_t limit_test = 0;
  std::int64_t validation = 0;
  SaveOptions save;
  EarlyEndOptions early_end;
  SeedFlags seeds;
  bool keep_best = false;
  bool allow_changes = false;
  bool overwrite = false;
  bool json = false;
  bool summary = false;
  bool no_report = false;
  bool tensorboard = false;
};

/// All flags of the command. `flags` must outlive it.
void add_train_flags(CLI::App& command, TrainFlags& flags);

}  // namespace convoy
