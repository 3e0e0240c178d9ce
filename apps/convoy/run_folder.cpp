#include "apps/convoy/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "engine/core/atomic_file.h"
#include "engine/model/preparation_json.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

void remove_empty(const std::vector<fs::path>& folders) {
  std::error_code ignored;  // removing a folder that is not empty fails, as intended
  for (const fs::path& folder : folders) fs::remove(folder, ignored);
}

/// run.json beside a checkpoint; not an object if there is none, or if it is not JSON.
Json record_in(const fs::path& folder) {
  std::ifstream stream(folder / "run.json");
  return Json::parse(stream, nullptr, /*allow_exceptions=*/false);
}

/// Whether both records are of one trial, on a part of the images. How the device is described does not
/// count.
bool is_trial_again(const Json& earlier, const Json& record) {
  if (!earlier.is_object() || (record["limit_train"] == 0 && record["limit_test"] == 0)) return false;
  return std::ranges::all_of(record.items(), [&](const auto& member) {
    const bool counts = !member.key().starts_with("device_") && member.key() != "data_found";
    return !counts || (earlier.contains(member.key()) && earlier[member.key()] == member.value());
  });
}

}  // namespace

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
  const fs::path probe = folder_ / ".convoy-probe";
  try {
    write_atomically(probe, "");
    fs::remove(probe);
  } catch (const std::exception& failure) {
    remove_empty(created_);
    throw Error(fmt::format("{}: the output folder cannot be written: {}", folder_.string(), failure.what()));
  }
}

RunFolder::~RunFolder() { remove_empty(created_); }

void RunFolder::require_space(std::uint64_t bytes) const {
  std::error_code unknown;
  const fs::space_info space = fs::space(folder_, unknown);
  if (unknown || space.capacity == 0 || space.available >= bytes) return;  // some file systems do not tell
  throw Error(fmt::format(
      "{}: {:.1f} MB are free there, and the training may write {:.1f} MB; make room, or name a folder "
      "elsewhere with --out",
      folder_.string(), static_cast<double>(space.available) / 1e6, static_cast<double>(bytes) / 1e6));
}

void RunFolder::write_model(const Model& model, const StateDict& state) const {
  // The large file first. On a full disk that write fails, and both files of an earlier run stay.
  save_checkpoint(state, checkpoint_of(folder_));
  write_atomically(folder_ / "model.json", to_json(model));
}

void RunFolder::write_record(const Json& record) const {
  write_atomically(folder_ / "run.json", record.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void RunFolder::write_profile(const std::string& trace) const {
  write_atomically(folder_ / kProfileFile, trace);
}

void refuse_to_replace(const fs::path& folder, const Json& record, const fs::path& init) {
  std::error_code ignored;
  const auto would_be_lost = [&](const fs::path& run) {
    return fs::exists(checkpoint_of(run), ignored) && !is_trial_again(record_in(run), record);
  };
  constexpr const char* kElse = "name another folder with --out, or replace it with --overwrite";
  if (would_be_lost(folder)) {
    throw UsageError(fmt::format("{} is a finished model; {}", checkpoint_of(folder).string(), kElse));
  }
  const auto goes_on_from = [&](const char* name) {
    return !init.empty() && fs::equivalent(init.parent_path(), folder / name, ignored);
  };
  if (std::ranges::any_of(kUnfinished, goes_on_from)) return;
  for (const char* name : kUnfinished) {
    if (!would_be_lost(folder / name)) continue;
    const std::string file = checkpoint_of(folder / name).string();
    throw UsageError(fmt::format("{} is of a training that did not end; go on from it with --init {}, {}",
                                 file, file, kElse));
  }
}

fs::path checkpoint_of(const fs::path& folder) { return folder / "model.ckpt"; }

std::optional<fs::path> model_file_of_run(const fs::path& checkpoint) {
  const fs::path file = checkpoint.parent_path() / "model.json";
  std::error_code ignored;
  return fs::exists(file, ignored) ? std::optional(file) : std::nullopt;
}

std::optional<RunRecord> record_of_run(const fs::path& checkpoint) {
  const fs::path file = checkpoint.parent_path() / "run.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  const Json record = record_in(file.parent_path());
  if (!record.is_object() || !record.contains("dataset") || !record["dataset"].is_string())
    return RunRecord{};
  RunRecord result{record["dataset"].get<std::string>(), std::nullopt};
  if (record.contains("preparation")) {
    result.preparation = preparation_of_json(record["preparation"], file.string() + ": 'preparation'");
  }
  return result;
}

std::string run_name(const std::string& model, const std::string& dataset, std::uint64_t seed) {
  std::string name = fmt::format("{}-{}-{}", fs::path(model).stem().string(), dataset, seed);
  const auto unsafe = [](char c) { return c <= ' ' || c == '/' || c == '\x7f'; };
  std::replace_if(name.begin(), name.end(), unsafe, '_');
  return name;
}

}  // namespace convoy
