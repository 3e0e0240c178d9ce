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

/// The same for content that is made in parts, so that it need not be in memory at once: `make` gives them to
/// `append`. If it throws, what was written goes.
void write_atomically_in_parts(
    const std::filesystem::path& file,
    const std::function<void(const std::function<void(std::string_view part)>& append)>& make);

/// Makes a folder in one that is there, so that it survives a power cut; nothing if it is there. Throws
/// Error.
void make_folder(const std::filesystem::path& folder);

}  // namespace convoy
