// IDX, the format of MNIST: a magic number and the dimensions, 32 bits each and big-endian, then the
// elements. Files can be gzip-compressed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "convoy/dataset.h"
#include "engine/data/elements.h"

namespace convoy {

/// The elements' type by the third byte of the magic number, if there is such a one. All are big-endian.
std::optional<NumberType> idx_type(std::uint8_t byte);

/// Reads a pair of IDX files: images [count, H, W] or [count, C, H, W], and labels [count], or [count, N] as
/// QMNIST has them, of which the first column is the class. The elements may have any type of IDX (8, 16 and
/// 32 bits, float, double). Pixels must be whole numbers from 0 to 255; those of floating point may instead
/// be from 0 to 1, and are then multiplied by 255 and rounded. gzip is recognised by the content, not by the
/// name. Throws Error that names the file for a wrong magic number, truncated data, more data than the header
/// announces (also while decompressing), dimensions that are 0 or whose product overflows, counts that
/// differ, a pixel out of range, and a label that is no whole number or not below `classes`, which is at most
/// 256. Labels are numbered from 0, also those that begin at `first_label` in the file.
Dataset read_idx_pair(const std::filesystem::path& images, const std::filesystem::path& labels,
                      std::int64_t classes, std::int64_t first_label = 0);

}  // namespace convoy
