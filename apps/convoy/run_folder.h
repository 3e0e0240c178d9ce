// The folder of a training run. apps/README.md describes the files in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/convoy/folder_lock.h"
#include "apps/convoy/run_record.h"
#include "apps/convoy/terminal.h"
#include "convoy/host_tensor.h"
#include "convoy/model.h"

namespace convoy {

/// The name of a profile's file in the folder. Its format is Chrome's Trace Event Format.
constexpr const char* kProfileFile = "profile.json";
/// That of the page about the run, and that of the folder with TensorBoard's events.
constexpr const char* kReportFile = "report.html";
constexpr const char* kEventsFolder = "tensorboard";

/// What a run is called: its folder's own name, "x" of "runs/x/".
std::string run_name(const std::filesystem::path& folder);

/// A folder that can be written to, and that no other process writes to. The destructor removes the folders
/// that were created and are still empty.
class RunFolder {
 public:
  /// Creates the folder if it is missing, locks it, and writes a test file into it. Throws Error if one of
  /// these fails. Undoes what a process that was killed had half done.
  explicit RunFolder(std::filesystem::path folder);
  /// A training that was begun and leaves nothing gives back what was there before it.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return folder_; }

  /// Throws Error unless the folder's file system has that much room.
  void require_space(std::uint64_t bytes) const;

  /// Begins a training: puts what is there aside, into the subfolder `previous`, and writes model.json and
  /// run.json. If a finished model waits there already, an unfinished training is removed. Throws Error.
  void begin(const Model& model, const Json& record);

  /// Each of these files appears whole or not at all. They throw Error.
  void write_record(const Json& record) const;                            // run.json
  void write_checkpoint(const char* name, const StateDict& state) const;  // "model.ckpt", "best.ckpt"
  void write_profile(const std::string& trace) const;                     // profile.json
  void write_config(const std::string& text) const;                       // config.toml

  /// The training is done: what was put aside is not needed any more.
  void finish() const;

 private:
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> created_;  // innermost first
  std::optional<FolderLock> lock_;
  bool begun_ = false;
};

/// The path of the checkpoint in a run's folder.
std::filesystem::path checkpoint_of(const std::filesystem::path& folder);

/// Throws UsageError if the folder holds a finished model, that is a model.ckpt, or anything of a training
/// that did not end. A finished trial, which had --limit-train or --limit-test, may be repeated: nothing is
/// lost if its run.json says the same as `record`, but for the device and the program.
void refuse_to_replace(const std::filesystem::path& folder, const Json& record);

/// All that a training writes into its folder, whether it is there or not.
std::vector<std::filesystem::path> files_of_run(const std::filesystem::path& folder);

/// The model.json beside a checkpoint, or beside the folder of a state, if there is one.
std::optional<std::filesystem::path> model_file_of_run(const std::filesystem::path& checkpoint);

/// Reads the run.json there, if that file exists. Its data set is empty if it names none.
/// Throws Error if it cannot be read, UsageError if its preparation is malformed.
std::optional<RunRecord> record_of_run(const std::filesystem::path& checkpoint);

/// What a file belongs to that a training writes, or would write, into the folder of a run that is there:
/// that folder. The file need not be there; links are followed. Nothing for any other file.
std::optional<std::filesystem::path> run_that_owns(const std::filesystem::path& file);

/// The name of a run's folder, made of model, data set and seed: "convnet-mnist-1". Of a model file only the
/// name counts, without folder and extension. The same command gives the same name.
std::string run_name(const std::string& model, const std::string& dataset, std::uint64_t seed);

}  // namespace convoy
