// What was planned, in a table: `--verbose`.
#pragma once

#include <span>
#include <string>

#include "engine/backend/backend.h"

namespace convoy {

/// A line an operation, and one that counts: planned, from the cache, own kernels.
std::string plan_table(const std::string& backend, std::span<const PlanRow> rows);

/// That last line by itself, without a line end: "9 planned, 3 from the cache, 2 own kernels, 4096 bytes of
/// workspace".
std::string plan_summary(std::span<const PlanRow> rows);

}  // namespace convoy
