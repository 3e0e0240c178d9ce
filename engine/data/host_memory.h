// A bound for what a data set may take of the memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "engine/data/elements.h"

namespace convoy {

/// The bytes of memory that one part of a data set may take: half of what this machine has, or of what the
/// process's control group may use, if that is less. Images lie there decompressed, whatever a GPU holds of
/// them. The other half is for what reading takes beside them: up to 1.75 times the bytes for packed content.
std::int64_t host_memory_bytes();

/// The smallest of `physical` and the numbers in the files, which a control group's limit stands in. A file
/// that cannot be read or has no number, as "max", is left out.
std::int64_t usable_memory(std::int64_t physical, std::span<const std::filesystem::path> limits);

/// Throws Error, with `input` in front, if so many bytes are more than `memory`.
void require_memory(std::int64_t bytes, const InputName& input, std::int64_t memory = host_memory_bytes());

}  // namespace convoy
