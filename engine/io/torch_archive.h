// The zip archive that torch.save writes. Its entries are stored, that is not compressed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/core/file.h"
#include "engine/core/zip_handles.h"

namespace convoy {

struct ArchiveEntry {
  std::string name;  // below the archive's root: "data.pkl", "data/0"
  std::string bytes;
};

/// A zip archive of these entries, in this order, under the root folder "archive". The bytes of each entry
/// are aligned to 64, as PyTorch aligns them. The same entries always give the same archive. Throws Error.
std::string torch_archive(const std::vector<ArchiveEntry>& entries);

/// An archive that is open for reading. The root folder can have any name.
class TorchArchive {
 public:
  /// Throws Error unless `file` is a zip archive of stored entries that lie in one folder, have distinct
  /// names, and together are no larger than the file.
  explicit TorchArchive(InputFile& file);

  bool has(std::string_view name) const;

  /// The bytes of an entry, after its checksum was verified. Throws Error if it is missing or damaged.
  std::string read(std::string_view name) const;

 private:
  struct Entry {
    zip_uint64_t index;
    std::uint64_t bytes;
  };

  void add(zip_uint64_t index);

  ZipArchive archive_;
  std::uint64_t file_bytes_ = 0;
  std::string root_;                                // the root folder, with its slash
  std::unordered_map<std::string, Entry> entries_;  // by their names below the root
};

}  // namespace convoy
