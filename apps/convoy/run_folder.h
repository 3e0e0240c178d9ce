// The folder of a training run. apps/README.md describes the files in it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"
#include "convoy/host_tensor.h"
#include "convoy/model.h"

namespace convoy {

/// The name of a profile's file in the folder. Its format is Chrome's Trace Event Format.
constexpr const char* kProfileFile = "profile.json";

/// A folder that can be written to. The destructor removes the folders that were created and are still empty.
class RunFolder {
 public:
  /// Creates the folder if it is missing, and writes a test file into it. Throws Error if one of these fails.
  explicit RunFolder(std::filesystem::path folder);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return folder_; }

  /// Throws Error unless the folder's file system has that much room.
  void require_space(std::uint64_t bytes) const;

  /// Writes model.ckpt and model.json, each whole or not at all. Files of an earlier run are replaced. Throws
  /// Error.
  void write_model(const Model& model, const StateDict& state) const;

  /// Writes run.json in the same way.
  void write_record(const Json& record) const;

  /// Writes profile.json in the same way.
  void write_profile(const std::string& trace) const;

 private:
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> created_;  // innermost first
};

/// The path of the checkpoint in a run's folder.
std::filesystem::path checkpoint_of(const std::filesystem::path& folder);

/// Subfolders with the state of a training that did not end, the one to go on from first.
inline constexpr std::array<const char*, 3> kUnfinished = {"interrupted", "last-finite", "last-epoch"};

/// Throws UsageError if the folder holds a finished model, that is a model.ckpt, or an unfinished one that
/// `init` is not of: a training that goes on from there may write where it was. A trial, which had
/// --limit-train or --limit-test, may be repeated: nothing is lost if its run.json says the same as `record`,
/// but for the device.
void refuse_to_replace(const std::filesystem::path& folder, const Json& record,
                       const std::filesystem::path& init);

/// The model.json beside a checkpoint, if there is one.
std::optional<std::filesystem::path> model_file_of_run(const std::filesystem::path& checkpoint);

/// What the run.json beside a checkpoint tells of the data.
struct RunRecord {
  std::string dataset;
  std::optional<Preparation> preparation;
};

/// Reads the run.json beside a checkpoint, if that file exists. Its data set is empty if it names none.
/// Throws UsageError if its preparation is malformed.
std::optional<RunRecord> record_of_run(const std::filesystem::path& checkpoint);

/// The name of a run's folder, made of model, data set and seed: "convnet-mnist-1". Of a model file only the
/// name counts, without folder and extension. The same command gives the same name.
std::string run_name(const std::string& model, const std::string& dataset, std::uint64_t seed);

}  // namespace convoy
