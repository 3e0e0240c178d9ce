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
  std::string path;        ///< relative: "cifar-10-batches-bin/test_batch.bin"
  std::int64_t bytes = 0;  ///< a file of another size counts as missing
};

/// One file of a data set, and where it can be downloaded.
struct RemoteFile {
  std::string name;                         ///< in the data set's folder
  std::vector<std::string> urls;            ///< mirrors, in the order in which they are tried
  std::string sha256;                       ///< lower-case hex
  std::int64_t bytes = 0;                   ///< 0 if not known
  std::vector<ArchiveMember> members = {};  ///< of a tar.gz, which is unpacked and then removed
};

/// How patiently to download, and whom to tell.
struct FetchOptions {
  long connect_timeout_s = 10;  ///< seconds until a host counts as unreachable
  long stall_timeout_s = 20;    ///< seconds of less than 1 kB/s until the next mirror is tried
  std::function<void(const std::string&)> say;  ///< called with one line for each decision
  /// Called during a download with the file's name and its bytes: those that are done, and all. An exception
  /// thrown here ends the download and leaves `fetch`.
  std::function<void(const std::string& file, std::int64_t done, std::int64_t total)> progress;
};

/// The files of a data set (see dataset_names), with the public mirrors. Throws UsageError for an unknown
/// name.
std::vector<RemoteFile> remote_files(const std::string& dataset);

/// Whether this build can download: it was configured with CONVOY_FETCH, and so with curl, OpenSSL and
/// libarchive. Without, `fetch` and `sha256_of` throw Error.
bool can_fetch();

/// Downloads into `folder` each file that is not yet there with the right checksum, or of an archive each
/// that lacks a member of the right size. A file is written to NAME.part, verified, and renamed. A NAME.part
/// from an earlier attempt is continued. Throws Error if every mirror fails (naming each, and why), or if the
/// files cannot be written.
void fetch(const std::vector<RemoteFile>& files, const std::filesystem::path& folder,
           const FetchOptions& options);

/// Lower-case hex SHA-256 of a file. Throws Error if it cannot be read.
std::string sha256_of(const std::filesystem::path& file);

}  // namespace convoy
