#include "convoy/fetch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "convoy/error.h"
#include "engine/data/archive.h"
#include "engine/data/download.h"
#include "engine/data/part_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// "https://host:port" of a URL.
std::string host_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  return url.substr(0, url.find('/', scheme == std::string::npos ? 0 : scheme + 3));
}

bool has_size(const fs::path& file, std::int64_t bytes) {
  std::error_code code;
  return fs::is_regular_file(file, code) && fs::file_size(file, code) == static_cast<std::uintmax_t>(bytes) &&
         !code;
}

bool has_checksum(const fs::path& file, const std::string& sha256) {
  std::error_code code;
  return fs::is_regular_file(file, code) && sha256_of(file) == sha256;
}

bool is_there(const RemoteFile& file, const fs::path& folder) {
  if (!file.members.empty()) {
    return std::all_of(file.members.begin(), file.members.end(),
                       [&](const ArchiveMember& m) { return has_size(folder / m.path, m.bytes); });
  }
  return has_checksum(folder / file.name, file.sha256);
}

/// Gets the files of one call of fetch(), and remembers which hosts did not answer.
class Fetcher {
 public:
  Fetcher(fs::path folder, const FetchOptions& options) : folder_(std::move(folder)), options_(options) {}

  void get(const RemoteFile& file) {
    const fs::path target = folder_ / file.name;
    if (!has_checksum(target, file.sha256)) get_verified(file, target);
    if (file.members.empty()) return;
    say(fmt::format("unpacking {}", file.name));
    unpack(target, file.members, folder_);
    std::error_code ignored;  // an archive that stays does no harm
    fs::remove(target, ignored);
  }

 private:
  void get_verified(const RemoteFile& file, const fs::path& target) {
    PartFile part(target);
    std::vector<std::string> problems;
    for (const std::string& url : file.urls) {
      const std::string problem = get_from(url, file, part);
      if (problem.empty()) return part.publish();
      say(fmt::format("{}: {}", url, problem));
      problems.push_back(fmt::format("{}: {}", url, problem));
    }
    throw Error(fmt::format("cannot download {} ({})", file.name, fmt::join(problems, "; ")));
  }

  /// Downloads from one mirror and verifies the part. Returns the reason of a failure, or "".
  std::string get_from(const std::string& url, const RemoteFile& file, PartFile& part) {
    const std::string host = host_of(url);
    if (unreachable_.contains(host)) return "the host did not answer before";
    for (;;) {
      const std::int64_t resumed_from = part.bytes();
      if (file.bytes == 0 || resumed_from != file.bytes) {
        say(resumed_from == 0 ? fmt::format("downloading {}", url)
                              : fmt::format("downloading {}, resumed at byte {}", url, resumed_from));
        const Attempt attempt = download(url, file, part, options_);
        if (attempt.unreachable) unreachable_.insert(host);
        // The download cleared a part that did not fit this mirror. Only then a second attempt can help.
        if (!attempt.problem.empty() && resumed_from > 0 && part.bytes() == 0) continue;
        if (!attempt.problem.empty()) return attempt.problem;
      }
      if (sha256_of(part.path()) == file.sha256) return {};
      part.clear();
      if (resumed_from == 0) return "the file has the wrong checksum";
      say(fmt::format("{}: what was left of an earlier download does not fit; starting over", file.name));
    }
  }

  void say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }

  fs::path folder_;
  const FetchOptions& options_;
  std::set<std::string> unreachable_;
};

}  // namespace

bool can_fetch() { return true; }

void fetch(const std::vector<RemoteFile>& files, const fs::path& folder, const FetchOptions& options) {
  create_folder(folder);
  Fetcher fetcher(folder, options);
  for (const RemoteFile& file : files) {
    if (!is_there(file, folder)) fetcher.get(file);
  }
}

}  // namespace convoy
