// NumPy's files, written by hand.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace convoy {

/// A .npy file of version 1.0: the header with these words, then `elements`.
std::string npy(const std::string& descr, const std::string& shape, const std::string& elements,
                const std::string& fortran = "False");

struct NpzEntry {
  std::string name;  // "x_train"
  std::string content;
};

/// A zip archive of these entries, deflated or stored.
void write_npz(const std::filesystem::path& file, const std::vector<NpzEntry>& entries, bool deflated);

}  // namespace convoy
