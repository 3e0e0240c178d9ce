// A run's folder: model.ckpt, model.json, run.json (apps/README.md documents them).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"
#include "engine/core/host_tensor.h"
#include "engine/model/model.h"

namespace convoy {

/// The file of a profile in a run's folder, in Chrome's trace format.
constexpr const char* kProfileFile = "profile.json";

/// A folder that can be written to. What it had to create and nobody filled disappears with it.
class RunFolder {
 public:
  /// Creates the folder if need be and writes a probe into it. Throws Error if either cannot be done.
  explicit RunFolder(std::filesystem::path folder);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return folder_; }

  /// Writes model.json and model.ckpt, each whole or not at all; an earlier run's are replaced. Throws Error.
  void write_model(const Model& model, const StateDict& state) const;

  /// Likewise run.json.
  void write_record(const Json& record) const;

  /// Likewise profile.json.
  void write_profile(const std::string& trace) const;

 private:
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> created_;  // innermost first
};

/// The checkpoint that a run's folder holds.
std::filesystem::path checkpoint_of(const std::filesystem::path& folder);

/// The model.json beside a checkpoint, if there is one.
std::optional<std::filesystem::path> model_file_of_run(const std::filesystem::path& checkpoint);

/// The data set that the run.json beside a checkpoint names, if there is one. Throws Error if it is not a
/// run.json.
std::optional<std::string> dataset_of_run(const std::filesystem::path& checkpoint);

/// "convnet-mnist-1": from the model (a file's without folder and extension), the data set and the seed, so
/// that the same command writes to the same folder.
std::string run_name(const std::string& model, const std::string& dataset, std::uint64_t seed);

}  // namespace convoy
