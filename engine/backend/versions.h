// The libraries that a backend computes with, for the record of a run.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace convoy {

/// Libraries and their versions as they are loaded: {"oneDNN", "2.6.3"}.
using Versions = std::vector<std::pair<std::string, std::string>>;

/// Those of the backend of that name, which must be usable. Empty for one that takes no library.
Versions library_versions(const std::string& backend);

}  // namespace convoy
