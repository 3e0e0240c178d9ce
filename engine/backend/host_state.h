// What a training step keeps beside its tensors, for backends whose device is the host: the number of the
// step, the metrics, and the data set with its cursor.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/backend.h"

namespace convoy {

class HostCounter final : public StepCounter {
 public:
  void increment() override { ++step_; }
  std::int64_t read() const override { return step_; }
  void write(std::int64_t step) override { step_ = step; }

 private:
  std::int64_t step_ = 0;
};

class HostMetrics final : public Metrics {
 public:
  void reset() override { reading_ = {}; }
  MetricsReading read() const override { return reading_; }

  /// Counts one batch of `samples` whose losses add up to `loss_sum`.
  void count(double loss_sum, std::int64_t correct, std::int64_t samples);

 private:
  MetricsReading reading_;
};

class HostDataset final : public ResidentDataset {
 public:
  /// Throws UsageError for a data set that is not one (see check_dataset).
  explicit HostDataset(const Dataset& dataset);

  /// Throws UsageError for an index that is no sample's.
  void set_order(std::span<const std::uint32_t> order) override;

  /// The indices of the next `count` samples. Throws Error if the order has fewer left.
  std::span<const std::uint32_t> next(std::size_t count);

  const Dataset& dataset() const { return dataset_; }

 private:
  Dataset dataset_;
  std::vector<std::uint32_t> order_;
  std::size_t cursor_ = 0;
};

}  // namespace convoy
