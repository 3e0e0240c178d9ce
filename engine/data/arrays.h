// Named NumPy arrays: the entries of a .npz archive, or the .npy files of a folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/npy.h"

namespace convoy {

class Arrays {
 public:
  virtual ~Arrays() = default;

  virtual bool has(const std::string& name) const = 0;
  /// All of them: an archive's in its order, a folder's sorted.
  virtual std::vector<std::string> names() const = 0;
  /// Throws Error that names the file and the array. It must be there.
  virtual NpyArray read(const std::string& name) const = 0;
  /// What messages call the array.
  virtual std::string where(const std::string& name) const = 0;
};

/// Opens a .npz archive, or a folder of .npy files. Throws Error that names it if it cannot be read.
std::unique_ptr<Arrays> open_arrays(const std::filesystem::path& data);

}  // namespace convoy
