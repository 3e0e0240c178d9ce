// Files that a user names for output, which must not be ones that are needed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/convoy/setup.h"
#include "apps/convoy/train_flags.h"

namespace convoy {

/// A file that a command reads, and what it is for it: "the checkpoint itself".
struct NeededFile {
  std::filesystem::path file;
  std::string what;
};

/// The checkpoint, and the files of its model: that of --model, and the model.json beside the checkpoint.
std::vector<NeededFile> files_read_for(const CheckpointFlags& flags);

/// Throws UsageError if `target` is one of the files that are read. Links are followed. `remedy` ends the
/// message.
void refuse_what_is_read(const std::filesystem::path& target, const std::vector<NeededFile>& read,
                         const std::string& remedy);

/// The same, also if it is one that a training writes into the folder of a run that is there.
void refuse_to_harm(const std::filesystem::path& target, const std::vector<NeededFile>& read,
                    const std::string& remedy = "name another file");

/// Throws UsageError, without --overwrite, if a training in that folder would replace another's work (see
/// refuse_to_replace) or what --model, --init or --config reads.
void refuse_to_lose(const TrainFlags& flags, const std::filesystem::path& folder, const Json& record);

/// Whether both paths name the same file, which need not be there yet.
bool is_same_target(const std::filesystem::path& one, const std::filesystem::path& other);

}  // namespace convoy
