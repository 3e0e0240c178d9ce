// Unpacks the expected files of a tar.gz archive and no others.
#pragma once

#include <filesystem>
#include <vector>

#include "convoy/fetch.h"

namespace convoy {

/// Unpacks `members` into `folder` and skips every other entry. So the archive cannot choose what is written,
/// nor where. Each file appears whole or not at all. Throws Error if the archive is corrupt, or if a member
/// is missing, not a regular file, or of another size.
void unpack(const std::filesystem::path& archive, const std::vector<ArchiveMember>& members,
            const std::filesystem::path& folder);

}  // namespace convoy
