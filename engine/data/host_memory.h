// A bound for what a data set may take of the memory.
#pragma once

#include <cstdint>

#include "engine/data/elements.h"

namespace convoy {

/// The bytes of memory that this machine has. Images lie there decompressed, whatever a GPU holds of them.
std::int64_t host_memory_bytes();

/// Throws Error, with `input` in front, if so many bytes are more than `memory`.
void require_memory(std::int64_t bytes, const InputName& input, std::int64_t memory = host_memory_bytes());

}  // namespace convoy
