// Files that appear whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace convoy {

/// Lets `write` produce a temporary file beside `file`, then makes it durable under its name: fsync, rename,
/// fsync of the folder. On any failure the temporary file is removed, what `file` held before stays, and
/// Error is thrown.
void write_atomically(const std::filesystem::path& file,
                      const std::function<void(const std::filesystem::path& temporary)>& write);

/// The same for a text or bytes in memory.
void write_atomically(const std::filesystem::path& file, std::string_view content);

}  // namespace convoy
