// convoy bench --plan DEVICE: what a step would launch on a GPU that is not here, and how long it takes on
// paper.
#pragma once

#include <cstdint>
#include <string>

#include "apps/convoy/flags.h"

namespace convoy {

struct PlanBench {
  std::string described;  // "h100"
  std::string model;
  DataFlags data;
  DeviceFlags device;  // precision and the cache of plans count
  std::int64_t batch = 100;
  bool json = false;
};

void add_plan_flag(CLI::App& command, std::string& device);

/// Prints the table. Returns the exit code. Throws what make_described_backend throws.
int plan_bench(const PlanBench& bench);

}  // namespace convoy
