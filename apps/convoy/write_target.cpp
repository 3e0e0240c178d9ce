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

bool is_same_target(const fs::path& one, const fs::path& other) { return whole(one) == whole(other); }

}  // namespace convoy
