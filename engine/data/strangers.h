// Data folders as people have them: what lies there that is not read as it is.
#pragma once

#include <filesystem>
#include <string>

namespace convoy {

/// What a folder, a folder in it, or a file in place of the folder, holds instead of the files of `dataset`,
/// and what to do with it, as a phrase: "cifar-10-python.tar.gz is not unpacked: tar -xzf ...". Empty if
/// nothing in it is known.
std::string strange_content(const std::filesystem::path& folder, const std::string& dataset);

}  // namespace convoy
