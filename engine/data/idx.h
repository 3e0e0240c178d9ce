// IDX, the format of MNIST: a 32-bit big-endian magic number and dimensions, then bytes; plain or
// gzip-compressed.
#pragma once

#include <cstdint>
#include <filesystem>

#include "engine/data/dataset.h"

namespace convoy {

/// Reads a pair of IDX files. An image file is [count, H, W] or [count, C, H, W] of unsigned bytes, a label
/// file [count]. gzip is recognised by its content, not its name. Throws Error that names the file and what
/// is wrong: magic, truncation, trailing bytes, more data than the header announces (also while inflating),
/// dimensions whose product overflows or is 0, counts that differ, a label that is not below `classes`.
Dataset read_idx_pair(const std::filesystem::path& images, const std::filesystem::path& labels,
                      std::int64_t classes);

}  // namespace convoy
