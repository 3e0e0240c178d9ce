// The outside of a checkpoint: the zip archive that torch.save writes. Every entry is stored, none
// compressed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/io/zip_handles.h"

namespace convoy {

struct ArchiveEntry {
  std::string name;  // below the archive's root: "data.pkl", "data/0"
  std::string bytes;
};

/// A zip archive of these entries under the root "archive", in this order, each aligned to 64 bytes as
/// PyTorch does it. The same entries give the same bytes. Throws Error.
std::string torch_archive(const std::vector<ArchiveEntry>& entries);

/// An archive that is open for reading. Entries are found below the root folder, whatever its name.
class TorchArchive {
 public:
  /// Throws Error unless `file` is a zip archive of stored entries that lie in one folder, have distinct
  /// names, and together are no larger than the file.
  explicit TorchArchive(const std::filesystem::path& file);

  /// Bytes of the whole file.
  std::uint64_t file_bytes() const { return file_bytes_; }

  bool has(std::string_view name) const;

  /// The bytes of an entry, its checksum verified. Throws Error if there is none, or it is damaged.
  std::string read(std::string_view name) const;

 private:
  struct Entry {
    zip_uint64_t index;
    std::uint64_t bytes;
  };

  void add(zip_uint64_t index);

  ZipArchive archive_;
  std::uint64_t file_bytes_ = 0;
  std::string root_;                                // with its slash
  std::unordered_map<std::string, Entry> entries_;  // by name below the root
};

}  // namespace convoy
