// A GPU that is only described: what the CUDA backend would launch there, and how long that takes on paper.
// cuDNN itself plans, so the answer is that of such a GPU; nothing is executed.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "engine/backend/device_peak.h"

namespace convoy {

/// The names by which described_device knows GPUs: "a100", "h100", ... No CUDA is needed for these two.
std::vector<std::string> described_devices();

struct DescribedDevice {
  std::string_view name;
  std::string_view properties;  // cuDNN's JSON description
  // Of products in that precision, and of memory, by NVIDIA's data sheets; 0: it does not know the precision.
  DevicePeak fp32, tf32, bf16;

  const DevicePeak& peak(Precision precision) const {
    return precision == Precision::tf32 ? tf32 : precision == Precision::bf16 ? bf16 : fp32;
  }
};

/// Throws UsageError for an unknown name.
const DescribedDevice& described_device(const std::string& name);

/// A Backend whose operations are planned by `prepare`, and of which an execution only says what the CUDA
/// backend would enqueue. Tensors have no values.
class DescribedBackend : public Backend {
 public:
  /// What was executed since the last call, in order; a row is what one plan, product or own kernel does.
  virtual std::vector<PlanRow> take_executed() = 0;
};

/// What the CUDA backend takes there if nothing is asked for.
Precision precision_on(const DescribedDevice& device, std::optional<Precision> asked);

/// Throws Error without cuDNN in this build, or if that GPU does not know the precision; UsageError for an
/// unknown name.
std::unique_ptr<DescribedBackend> make_described_backend(const std::string& device,
                                                         const DeviceOptions& options);

}  // namespace convoy
