// One training of `convoy train`, from its flags to the files in its folder.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "apps/convoy/resume.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/train_data.h"
#include "apps/convoy/train_flags.h"
#include "apps/convoy/train_report.h"
#include "engine/backend/backend.h"

namespace convoy {

/// The flags of a training as its folder keeps them.
struct KeptFlags {
  Json given;               // see given_flags
  Json config;              // see config_json
  std::string config_file;  // see config_text
};

/// With the data that stood in for others, the model that the folder keeps, and the seed of `flags`, so that
/// the run can be repeated from there.
KeptFlags kept_flags(const CLI::App& command, const TrainFlags& flags, const TrainData& data);

/// What a training is made of. All that it refers to must outlive it.
struct Training {
  const TrainFlags& flags;  // with its seed, and its folder as --out
  const KeptFlags& kept;
  const TrainData& data;
  const BackendChoice& device;
  const std::optional<Resumed>& resumed;
  std::chrono::steady_clock::time_point start;  // of the program
  std::function<void()> launched = {};          // called behind every launch of steps
};

/// The folder that the training writes to.
std::filesystem::path folder_of(const TrainFlags& flags, const std::string& dataset);

/// The run.json of a training that begins, or goes on.
Json record_of(const Training& training);

/// Trains, tests, and keeps all of it in the folder; `folder` is that of a training that goes on, and else
/// made here. Tells `screen`, and returns the results as run.json has them. In a group this is rank 0's part.
/// Throws Interrupted after a signal, and see guarded_fit.
Json run_training(const Training& training, std::optional<RunFolder>& folder,
                  std::unique_ptr<TrainReport> screen);

/// What the other ranks of a group do.
void follow_training(const Training& training);

}  // namespace convoy
