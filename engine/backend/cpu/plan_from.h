// Shared by primitives_v2.cpp and primitives_v3.cpp: a plan from a primitive's descriptor.
#pragma once

#include "engine/backend/cpu/primitives.h"

namespace convoy::cpu {

/// Scratchpads are ours: one for all primitives (see Device).
dnnl::primitive_attr user_scratchpad();

/// Builds the primitive, and asks its descriptor for the layouts.
PrimitivePlan plan_from(const dnnl::primitive_desc_base& descriptor);

}  // namespace convoy::cpu
