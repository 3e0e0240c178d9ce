// What each pass of a step takes, beside what it takes at least: the tables of `convoy bench`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/convoy/step_timing.h"
#include "apps/convoy/terminal.h"
#include "engine/backend/device_peak.h"

namespace convoy {

/// What passes are compared with.
struct Roofline {
  DevicePeak peak;
  DevicePeak linear;                  // of linear layers, which do not round to TF32
  std::int64_t activation_bytes = 4;  // 2 for bf16

  double ms(const PassTiming& pass) const {
    return roofline_ms(pass.work, activation_bytes, pass.type == "Linear" ? linear : peak);
  }
};

/// A row a pass, and the sums: milliseconds, launches, GFLOP/s, GB/s, and the roofline in percent of the
/// time.
std::string roofline_table(const std::vector<PassTiming>& passes, const Roofline& roofline);

/// The same for programs.
Json to_json(const std::vector<PassTiming>& passes, const Roofline& roofline);

/// Of all passes together.
double roofline_ms(const std::vector<PassTiming>& passes, const Roofline& roofline);

}  // namespace convoy
