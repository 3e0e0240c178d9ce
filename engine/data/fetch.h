// Downloads data sets from their public mirrors, checked by SHA-256.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace convoy {

/// A regular file that an archive must hold: its path in the archive, which is also its path in the data
/// set's folder, and its exact size.
struct ArchiveMember {
  std::string path;
  std::int64_t bytes = 0;
};

/// One file of a data set and where it may be had.
struct RemoteFile {
  std::string name;
  std::vector<std::string> urls;            // mirrors, in the order of trying
  std::string sha256;                       // lower-case hex
  std::int64_t bytes = 0;                   // 0 if not known
  std::vector<ArchiveMember> members = {};  // if it is a tar.gz: what is unpacked, after which it is removed
};

struct FetchOptions {
  long connect_timeout_s = 10;                  // an unreachable host costs no more than this
  long stall_timeout_s = 20;                    // nor does one that sends less than 1 kB/s for so long
  std::function<void(const std::string&)> say;  // decisions, a line each
  std::function<void(const std::string& file, std::int64_t done, std::int64_t total)> progress;
};

/// The files of a named data set. Throws UsageError for an unknown name.
std::vector<RemoteFile> remote_files(const std::string& dataset);

/// Downloads into `folder` what is not there yet with the right checksum (or, from an archive, the right
/// sizes). A file is written as NAME.part, resumed if such a part is found, verified, and renamed. Throws
/// Error if no mirror delivers (naming each and why), or if the disk is full.
void fetch(const std::vector<RemoteFile>& files, const std::filesystem::path& folder,
           const FetchOptions& options);

/// Lower-case hex SHA-256 of a file. Throws Error if it cannot be read.
std::string sha256_of(const std::filesystem::path& file);

}  // namespace convoy
