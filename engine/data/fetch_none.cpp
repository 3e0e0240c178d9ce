// Stands in for fetch.cpp, and for curl, OpenSSL and libarchive with it, where CONVOY_FETCH is off.
#include <fmt/format.h>

#include "convoy/error.h"
#include "convoy/fetch.h"

namespace convoy {

bool can_fetch() { return false; }

void fetch(const std::vector<RemoteFile>&, const std::filesystem::path& folder, const FetchOptions&) {
  throw Error(fmt::format("this build cannot download (CONVOY_FETCH is off): put the files into {} yourself",
                          folder.string()));
}

std::string sha256_of(const std::filesystem::path& file) {
  throw Error(
      fmt::format("this build knows no SHA-256 (CONVOY_FETCH is off): {} is not checked", file.string()));
}

}  // namespace convoy
