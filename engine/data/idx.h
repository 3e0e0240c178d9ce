// IDX, the format of MNIST: a magic number and the dimensions, 32 bits each and big-endian, then the bytes.
// Files can be gzip-compressed.
#pragma once

#include <cstdint>
#include <filesystem>

#include "convoy/dataset.h"

namespace convoy {

/// Reads a pair of IDX files of unsigned bytes: images [count, H, W] or [count, C, H, W], and labels [count].
/// gzip is recognised by the content, not by the name. Throws Error that names the file for a wrong magic
/// number, truncated data, more data than the header announces (also while decompressing), dimensions that
/// are 0 or whose product overflows, counts that differ, and a label that is not below `classes`.
Dataset read_idx_pair(const std::filesystem::path& images, const std::filesystem::path& labels,
                      std::int64_t classes);

}  // namespace convoy
