#include "apps/convoy/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "engine/core/atomic_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

void remove_empty(const std::vector<fs::path>& folders) {
  std::error_code ignored;  // removing a folder that is not empty fails, as intended
  for (const fs::path& folder : folders) fs::remove(folder, ignored);
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

fs::path checkpoint_of(const fs::path& folder) { return folder / "model.ckpt"; }

std::optional<fs::path> model_file_of_run(const fs::path& checkpoint) {
  const fs::path file = checkpoint.parent_path() / "model.json";
  std::error_code ignored;
  return fs::exists(file, ignored) ? std::optional(file) : std::nullopt;
}

std::optional<std::string> dataset_of_run(const fs::path& checkpoint) {
  const fs::path file = checkpoint.parent_path() / "run.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  std::ifstream stream(file);
  const Json record = Json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!record.is_object() || !record.contains("dataset") || !record["dataset"].is_string()) {
    throw Error(
        fmt::format("{}: not a run.json of Convoy's; name the data set with --dataset", file.string()));
  }
  return record["dataset"].get<std::string>();
}

std::string run_name(const std::string& model, const std::string& dataset, std::uint64_t seed) {
  std::string name = fmt::format("{}-{}-{}", fs::path(model).stem().string(), dataset, seed);
  const auto unsafe = [](char c) { return c <= ' ' || c == '/' || c == '\x7f'; };
  std::replace_if(name.begin(), name.end(), unsafe, '_');
  return name;
}

}  // namespace convoy
