/// @file
/// Downloads data sets from public mirrors and checks them by SHA-256.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace convoy {

/// A regular file of exactly `bytes` bytes that an archive must hold. Its path in the archive is also its
/// path in the data set's folder.
struct ArchiveMember {
  std::string path;
  std::int64_t bytes = 0;
};

/// One file of a data set, and where it can be downloaded.
struct RemoteFile {
  std::string name;
  std::vector<std::string> urls;            ///< mirrors, in the order in which they are tried
  std::string sha256;                       ///< lower-case hex
  std::int64_t bytes = 0;                   ///< 0 if not known
  std::vector<ArchiveMember> members = {};  ///< of a tar.gz: they are unpacked, then it is removed
};

struct FetchOptions {
  long connect_timeout_s = 10;                  ///< after which a host counts as unreachable
  long stall_timeout_s = 20;                    ///< after which less than 1 kB/s ends the attempt
  std::function<void(const std::string&)> say;  ///< gets each decision, as one line
  std::function<void(const std::string& file, std::int64_t done, std::int64_t total)> progress;
};

/// The files of a named data set. Throws UsageError for an unknown name.
std::vector<RemoteFile> remote_files(const std::string& dataset);

/// Downloads into `folder` each file that is not yet there with the right checksum. The members of an archive
/// are recognised by their sizes. A file is written to NAME.part, verified, and renamed. A NAME.part that is
/// already there is continued. Throws Error if every mirror fails (naming each, and why), or if the disk is
/// full.
void fetch(const std::vector<RemoteFile>& files, const std::filesystem::path& folder,
           const FetchOptions& options);

/// Lower-case hex SHA-256 of a file. Throws Error if it cannot be read.
std::string sha256_of(const std::filesystem::path& file);

}  // namespace convoy
