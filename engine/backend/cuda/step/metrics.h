// Sums of loss and correct predictions, on the device.
#pragma once

#include "engine/backend/backend.h"
#include "kernels/metrics.h"

namespace convoy::cuda {

/// The sums in the device's memory. Throws UsageError if another backend made the metrics.
const kernels::LossMetrics* device_metrics(const Metrics& metrics);
kernels::LossMetrics* device_metrics(Metrics& metrics);

/// What was copied from there.
MetricsReading reading_of(const kernels::LossMetrics& metrics);

}  // namespace convoy::cuda
