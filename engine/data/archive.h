// Unpacks what is expected from a tar.gz, and nothing else.
#pragma once

#include <filesystem>
#include <vector>

#include "engine/data/fetch.h"

namespace convoy {

/// Unpacks `members` into `folder`; every other entry is passed over, so that no path, link or size in the
/// archive decides what is written where. Each file appears whole or not at all. Throws Error if the archive
/// is corrupt, or a member is missing, not a regular file, or of another size.
void unpack(const std::filesystem::path& archive, const std::vector<ArchiveMember>& members,
            const std::filesystem::path& folder);

}  // namespace convoy
