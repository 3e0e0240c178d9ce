#include "apps/convoy/write_target.h"

#include <fmt/format.h>

#include <system_error>

#include "apps/convoy/run_folder.h"
#include "convoy/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

fs::path whole(const fs::path& file) {
  std::error_code unknown;
  return fs::weakly_canonical(fs::absolute(file, unknown), unknown);
}

}  // namespace

std::vector<NeededFile> files_read_for(const CheckpointFlags& flags) {
  std::vector<NeededFile> files = {{flags.checkpoint, "the checkpoint itself"},
                                   {flags.model, "the model's file"}};
  if (const auto beside = model_file_of_run(flags.checkpoint)) files.push_back({*beside, "the model's file"});
  return files;
}

void refuse_what_is_read(const fs::path& target, const std::vector<NeededFile>& read,
                         const std::string& remedy) {
  std::error_code unknown;
  for (const auto& [file, what] : read) {
    if (fs::equivalent(target, file, unknown)) {
      throw UsageError(fmt::format("{} is {}; {}", target.string(), what, remedy));
    }
  }
}

void refuse_to_harm(const fs::path& target, const std::vector<NeededFile>& read, const std::string& remedy) {
  refuse_what_is_read(target, read, remedy);
  if (const auto run = run_that_owns(target)) {
    throw UsageError(fmt::format("{} is for the training in {}; {}", target.string(), run->string(), remedy));
  }
}

void refuse_to_lose(const TrainFlags& flags, const fs::path& folder, const Json& record) {
  if (flags.overwrite) return;
  refuse_to_replace(folder, record);
  const std::vector<NeededFile> read = {
      {flags.model, "the model's file, and the training would replace it"},
      {flags.init, "what --init names, and the training would replace it"},
      {flags.config.file, "what --config names, and the training would replace it"}};
  for (const fs::path& file : files_of_run(folder)) {
    refuse_what_is_read(file, read, "name another folder with --out, or replace it with --overwrite");
  }
}

bool is_same_target(const fs::path& one, const fs::path& other) { return whole(one) == whole(other); }

}  // namespace convoy
