// Stands in where the CPU backend's libraries were not found: the instruction sets come from Highway.
#include "apps/convoy/fma_peak.h"

namespace convoy {

std::optional<FmaPeak> measure_fma_peak() { return std::nullopt; }

}  // namespace convoy
