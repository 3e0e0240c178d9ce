// The format of torch.save before PyTorch 1.6, which newer ones write with
// _use_new_zipfile_serialization=False: five pickles, one behind the other, then the bytes of the storages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/core/file.h"
#include "engine/io/unpickler.h"

namespace convoy {

class LegacyArchive {
 public:
  /// Whether a file that begins with these bytes, 15 at least, is one, with pickles of protocol 2.
  static bool begins(std::string_view start);

  /// The protocol of the pickles, 3 to 5, if a file that begins with these bytes, 24 at least, is one with
  /// pickles that are not read; else 0.
  static int foreign_protocol(std::string_view start);

  /// Reads the pickles, and where the storages lie. `file` must outlive the archive. Throws Error if they do
  /// not agree or lie outside the file. What follows the last storage is ignored, as torch.load does.
  explicit LegacyArchive(InputFile& file);
  LegacyArchive(const LegacyArchive&) = delete;
  LegacyArchive& operator=(const LegacyArchive&) = delete;

  /// The pickle that describes what was saved. It is valid as long as the archive is.
  std::string_view pickle() const { return pickle_; }

  /// The bytes of a storage. Throws Error if there is none of that key.
  std::string read(std::string_view key) const;

 private:
  struct Storage {
    std::int64_t width = 0;  // bytes of an element
    std::int64_t count = 0;  // elements
    std::int64_t at = -1;    // where in the file its bytes begin; -1: they were not found
  };

  void take_start(std::string_view& rest);
  void describe(const pickle::Object& reference);
  void find_storages(const pickle::Document& keys, std::int64_t at);

  InputFile& file_;
  std::string front_;  // of the file, with all pickles
  std::string_view pickle_;
  bool is_big_endian_ = false;                              // the machine that wrote it
  std::unordered_map<std::string_view, Storage> storages_;  // by their keys
};

}  // namespace convoy
