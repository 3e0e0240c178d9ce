// Files that appear whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace convoy {

/// Calls `write` with the path of a temporary file in the folder of `file`, which it fills. Then makes that
/// file durable under its final name: fsync, rename, fsync of the folder. On any failure the temporary file
/// is removed, `file` keeps its old content, and Error is thrown.
void write_atomically(const std::filesystem::path& file,
                      const std::function<void(const std::filesystem::path& temporary)>& write);

/// The same for content that is in memory.
void write_atomically(const std::filesystem::path& file, std::string_view content);

/// Makes a folder in one that is there, so that it survives a power cut; nothing if it is there. Throws
/// Error.
void make_folder(const std::filesystem::path& folder);

}  // namespace convoy
