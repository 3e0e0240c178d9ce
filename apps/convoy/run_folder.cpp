#include "apps/convoy/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "apps/convoy/state_files.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "engine/core/atomic_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// Where what was there waits until what replaces it is done. While it is brought there it has the second
// name.
constexpr const char* kPrevious = "previous";
constexpr const char* kMoving = ".previous";

void remove_empty(const std::vector<fs::path>& folders) {
  std::error_code ignored;  // removing a folder that is not empty fails, as intended
  for (const fs::path& folder : folders) fs::remove(folder, ignored);
}

/// Whether both records are of one trial, on a part of the images. How the device is described does not
/// count.
bool is_trial_again(const Json& earlier, const Json& record) {
  if (!earlier.is_object() || (record["limit_train"] == 0 && record["limit_test"] == 0)) return false;
  return std::ranges::all_of(record.items(), [&](const auto& member) {
    const bool counts = !member.key().starts_with("device_") && member.key() != "data_found" &&
                        member.key() != "flags" && member.key() != "config" && member.key() != "versions";
    return !counts || (earlier.contains(member.key()) && earlier[member.key()] == member.value());
  });
}

// All that a training writes.
constexpr auto kFiles =
    std::to_array<const char*>({"model.ckpt", "best.ckpt", "model.json", "run.json", "config.toml",
                                "log.jsonl", kProfileFile, kStatesFolder, kReportFile, kEventsFolder});

// Those that are not begun anew by the same command. model.json comes before run.json, and says nothing
// alone.
constexpr auto kWorth = std::to_array<const char*>({"model.ckpt", "best.ckpt", "run.json", kStatesFolder});

/// Files that write_atomically had begun when the process was killed. The folder is locked: nobody writes.
void remove_half_written(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".convoy-") && name.ends_with(".tmp")) fs::remove(entry.path(), ignored);
  }
}

bool holds_any(const fs::path& folder, std::span<const char* const> names) {
  std::error_code ignored;
  return std::ranges::any_of(names, [&](const char* name) { return fs::exists(folder / name, ignored); });
}

/// Moves all that a training wrote, as far as it is there.
void move_run(const fs::path& from, const fs::path& to) {
  for (const char* name : kFiles) {
    if (fs::exists(from / name)) fs::rename(from / name, to / name);
  }
}

/// Brings back what was put aside.
void give_back(const fs::path& run, const char* aside) {
  move_run(run / aside, run);
  fs::remove(run / aside);
}

/// Undoes what a process that was killed had begun: between putting a run aside and having another in its
/// place.
void mend_replacement(const fs::path& run) {
  if (fs::exists(run / kMoving)) give_back(run, kMoving);
  if (fs::exists(run / kPrevious) && !fs::exists(run / "run.json")) give_back(run, kPrevious);
}

/// Whether a training writes a file or a folder of that name into the folder of its run.
bool is_of_run(const fs::path& name) {
  return name == kPrevious || name == kMoving || name == kLockFile ||
         std::ranges::any_of(kFiles, [&](const char* written) { return name == written; });
}

/// The run's folder through which a path leads into what the run keeps. A state that was put aside lies three
/// levels below it.
std::optional<fs::path> owner_of(fs::path part) {
  std::error_code unknown;
  for (int level = 0; level < 3; ++level, part = part.parent_path()) {
    const fs::path folder = part.parent_path();
    if (is_of_run(part.filename()) && fs::exists(folder / "run.json", unknown)) return folder;
  }
  return std::nullopt;
}

/// The folder of the run that a checkpoint belongs to: a state lies in a subfolder of it.
fs::path run_of(const fs::path& checkpoint) {
  const fs::path folder = checkpoint.parent_path();
  return folder.filename() == kStatesFolder ? folder.parent_path() : folder;
}

}  // namespace

std::string run_name(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

RunFolder::RunFolder(fs::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  // Innermost first. The path "runs/x/" ends with an empty name, which is skipped.
  for (fs::path part = folder_; !part.empty() && !fs::exists(part, error); part = part.parent_path()) {
    if (part.has_filename()) created_.push_back(part);
    if (part == part.parent_path()) break;
  }
  fs::create_directories(folder_, error);
  if (error || !fs::is_directory(folder_, error)) {
    remove_empty(created_);
    throw Error(fmt::format("{}: the output folder cannot be created: {}", folder_.string(),
                            error ? error.message() : "there is a file of that name"));
  }
  try {
    lock_.emplace(folder_);
    remove_half_written(folder_);
    remove_half_written(folder_ / kStatesFolder);
    mend_replacement(folder_);
  } catch (const fs::filesystem_error& failure) {
    throw Error(fmt::format("{}: what was put aside there cannot be brought back: {}", folder_.string(),
                            failure.code().message()));
  } catch (const Error&) {
    remove_empty(created_);
    throw;
  }
  try {
    const fs::path probe = folder_ / ".convoy-probe";
    write_atomically(probe, "");
    fs::remove(probe);
  } catch (const std::exception& failure) {
    lock_.reset();
    remove_empty(created_);
    throw Error(fmt::format("{}: the output folder cannot be written: {}", folder_.string(), failure.what()));
  }
}

RunFolder::~RunFolder() {
  try {
    const bool left_something = fs::exists(checkpoint_of(folder_)) || fs::exists(folder_ / "best.ckpt") ||
                                !state_files(folder_).empty();
    if (begun_ && !left_something) {
      for (const char* name : kFiles) fs::remove_all(folder_ / name);
      if (fs::exists(folder_ / kPrevious)) give_back(folder_, kPrevious);
    }
  } catch (const fs::filesystem_error&) {
    // The next process that comes here tries again.
  }
  lock_.reset();
  remove_empty(created_);
}

void RunFolder::begin(const Model& model, const Json& record) {
  begun_ = true;
  try {
    const bool finished = fs::exists(checkpoint_of(folder_));
    if (fs::exists(folder_ / kPrevious) && !finished) {  // a finished model waits there already
      for (const char* name : kFiles) fs::remove_all(folder_ / name);
    } else if (holds_any(folder_, kFiles)) {
      fs::remove_all(folder_ / kPrevious);
      fs::create_directory(folder_ / kMoving);
      move_run(folder_, folder_ / kMoving);
      fs::rename(folder_ / kMoving, folder_ / kPrevious);
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(fmt::format("{}: what an earlier training left cannot be put aside: {}", folder_.string(),
                            error.code().message()));
  }
  write_atomically(folder_ / "model.json", to_json(model));
  write_record(record);
}

void RunFolder::finish() const {
  std::error_code ignored;  // it only takes room
  fs::remove_all(folder_ / kPrevious, ignored);
}

void RunFolder::require_space(std::uint64_t bytes) const {
  std::error_code unknown;
  const fs::space_info space = fs::space(folder_, unknown);
  if (unknown || space.capacity == 0 || space.available >= bytes) return;  // some file systems do not tell
  throw Error(fmt::format(
      "{}: {:.1f} MB are free there, and the training may write {:.1f} MB; make room there", folder_.string(),
      static_cast<double>(space.available) / 1e6, static_cast<double>(bytes) / 1e6));
}

void RunFolder::write_checkpoint(const char* name, const StateDict& state) const {
  save_checkpoint(state, folder_ / name);
}

void RunFolder::write_record(const Json& record) const {
  write_atomically(folder_ / "run.json", record.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void RunFolder::write_profile(const std::string& trace) const {
  write_atomically(folder_ / kProfileFile, trace);
}

void RunFolder::write_config(const std::string& text) const {
  write_atomically(folder_ / "config.toml", text);
}

void refuse_to_replace(const fs::path& folder, const Json& record) {
  std::error_code ignored;
  if (!holds_any(folder, kWorth)) return;
  if (!fs::exists(checkpoint_of(folder), ignored)) {
    throw UsageError(
        fmt::format("{} holds a training that did not end; go on with it by --resume {}, name another folder "
                    "with --out, or begin anew with --overwrite",
                    folder.string(), folder.string()));
  }
  if (is_trial_again(record_in(folder / "run.json"), record)) return;
  throw UsageError(
      fmt::format("{} is a finished model; name another folder with --out, or replace it with --overwrite",
                  checkpoint_of(folder).string()));
}

fs::path checkpoint_of(const fs::path& folder) { return folder / "model.ckpt"; }

std::vector<fs::path> files_of_run(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const char* name : kFiles) files.push_back(folder / name);
  return files;
}

std::optional<fs::path> model_file_of_run(const fs::path& checkpoint) {
  const fs::path file = run_of(checkpoint) / "model.json";
  std::error_code ignored;
  return fs::exists(file, ignored) ? std::optional(file) : std::nullopt;
}

std::optional<RunRecord> record_of_run(const fs::path& checkpoint) {
  const fs::path file = run_of(checkpoint) / "run.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  return run_record_of(record_in(file), file.string());
}

std::optional<fs::path> run_that_owns(const fs::path& file) {
  std::error_code unknown;
  const fs::path named = fs::absolute(file, unknown);
  const auto owner = owner_of(named);
  return owner ? owner : owner_of(fs::weakly_canonical(named, unknown));
}

std::string run_name(const std::string& model, const std::string& dataset, std::uint64_t seed) {
  std::string name = fmt::format("{}-{}-{}", fs::path(model).stem().string(), dataset, seed);
  const auto unsafe = [](char c) { return c <= ' ' || c == '/' || c == '\x7f'; };
  std::replace_if(name.begin(), name.end(), unsafe, '_');
  return name;
}

}  // namespace convoy
