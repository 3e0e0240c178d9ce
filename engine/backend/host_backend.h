// What backends whose device is the host have in common: the number of the step, the metrics, the data set
// with its cursor, and how a step is run and watched.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "engine/core/step_table.h"

namespace convoy {

class HostCounter final : public StepCounter {
 public:
  explicit HostCounter(const StepRule& rule) : StepCounter(rule), table_(step_table(rule)) {}
  void advance() override;
  StepScalars scalars() const override { return scalars_; }
  void write(std::int64_t step) override;

 private:
  void follow(const StepTable& table) override { table_ = table; }

  StepTable table_;
  StepScalars scalars_;
};

class HostMetrics final : public Metrics {
 public:
  void reset() override { reading_ = {}; }
  MetricsReading read() const override { return reading_; }
  void write(const MetricsReading& reading) override { reading_ = reading; }

  /// Counts one batch of `samples` whose losses add up to `loss_sum`.
  /// The last loss is the sum over `mean_over`.
  void count(double loss_sum, std::int64_t correct, std::int64_t samples, std::int64_t mean_over);

 private:
  MetricsReading reading_;
};

class HostDataset final : public DeviceDataset {
 public:
  /// Throws UsageError for a data set that is not one (see check_dataset).
  explicit HostDataset(const Dataset& dataset);

  /// Throws UsageError for an index that is no sample's, and for a beginning outside the order.
  void set_order(std::span<const std::uint32_t> order, std::int64_t begin, std::int64_t epoch) override;

  /// The indices of the next `count` samples. Throws Error if the order has fewer left.
  std::span<const std::uint32_t> next(std::size_t count);

  const Dataset& dataset() const { return dataset_; }
  std::int64_t epoch() const { return epoch_; }  // that the order is of

 private:
  Dataset dataset_;
  std::vector<std::uint32_t> order_;
  std::size_t cursor_ = 0;
  std::int64_t epoch_ = 0;
};

/// Calls the sequence: on the host there is nothing to record.
class HostReplay final : public Replay {
 public:
  explicit HostReplay(std::function<void()> sequence) : sequence_(std::move(sequence)) {}
  void run(std::int64_t times) override {
    for (std::int64_t i = 0; i < times; ++i) sequence_();
  }
  std::optional<CudaGraphSize> cuda_graph() const override { return std::nullopt; }

 private:
  std::function<void()> sequence_;
};

class HostMark final : public TimeMark {
 public:
  double milliseconds_since(const TimeMark& earlier) const override;

 private:
  std::chrono::steady_clock::time_point time_ = std::chrono::steady_clock::now();
};

/// Copies when it stages: memory to memory takes no time to speak of. `backend` must outlive this.
class HostStager final : public Stager {
 public:
  HostStager(const Backend& backend, StagerSources sources)
      : backend_(backend), sources_(std::move(sources)) {}
  void stage() override;
  StagedValues read() override { return std::move(staged_); }

 private:
  const Backend& backend_;
  StagerSources sources_;
  StagedValues staged_;
};

/// Reads each tensor as `backend` does, which must outlive this.
class HostFiniteCheck final : public FiniteCheck {
 public:
  HostFiniteCheck(const Backend& backend, const StepCounter& counter)
      : backend_(backend), counter_(counter) {}
  void look(const Tensor& tensor, std::int32_t part) override;
  std::optional<NonFinite> read() const override { return found_; }
  void reset() override { found_.reset(); }

 private:
  const Backend& backend_;
  const StepCounter& counter_;
  std::optional<NonFinite> found_;
};

/// The batch, which first advances the counter, if there is one.
OperationPtr counted(OperationPtr batch, StepCounter* counter);

/// A backend whose work is done when a call returns. Layers, memory and optimizers are for its heirs.
class HostBackend : public Backend {
 public:
  explicit HostBackend(const DeviceOptions& options)
      : group_(group_or_alone(options.group)),
        syncs_batch_norm_(options.sync_batch_norm && group_->size() > 1) {}

  Communicator& group() const final { return *group_; }
  bool syncs_batch_norm() const final { return syncs_batch_norm_; }

  TensorPtr make_activation(const Shape& shape) override { return make_tensor(shape, DType::float32); }

  std::unique_ptr<Metrics> make_metrics() final { return std::make_unique<HostMetrics>(); }
  std::unique_ptr<StepCounter> make_counter(const StepRule& rule) final;
  std::unique_ptr<DeviceDataset> upload(const Dataset& dataset) final {
    return std::make_unique<HostDataset>(dataset);
  }

  std::unique_ptr<Stager> make_stager(StagerSources sources) final {
    return std::make_unique<HostStager>(*this, std::move(sources));
  }

  void prepare() final {}
  std::unique_ptr<Replay> record(std::function<void()> sequence) final {
    return std::make_unique<HostReplay>(std::move(sequence));
  }
  std::int64_t steps_per_launch() const final { return 1; }
  void synchronize() final {}

  std::unique_ptr<TimeMark> mark() final { return std::make_unique<HostMark>(); }
  std::unique_ptr<FiniteCheck> make_finite_check(const StepCounter& counter) final {
    return std::make_unique<HostFiniteCheck>(*this, counter);
  }
  MemoryUse memory() const final { return {}; }
  std::vector<PlanRow> plans() const final { return {}; }

 protected:
  /// With whom a batch norm takes its statistics; null for nobody.
  Communicator* statistics_group() const { return syncs_batch_norm_ ? group_.get() : nullptr; }

 private:
  std::shared_ptr<Communicator> group_;
  bool syncs_batch_norm_;
};

/// Gradients that lie in the host's memory. They are summed at once: MPI makes progress only while it is
/// called, so nothing would be gained by waiting for it later.
template <typename T>
class HostGradientSum final : public GradientSum {
 public:
  /// `parts` are the gradients of each parameter, one behind another in one memory with what may lie between
  /// them. Not contributing, they are cleared first.
  HostGradientSum(Communicator& group, std::vector<std::span<T>> parts, bool contributes)
      : group_(group), parts_(std::move(parts)), contributes_(contributes) {}

  void start(std::size_t first, std::size_t last) override {
    if (first >= last) return;
    T* const begin = parts_[first].data();
    const std::span<T> all(begin, parts_[last - 1].data() + parts_[last - 1].size());
    if (!contributes_) std::fill(all.begin(), all.end(), T{0});
    group_.sum(all);
  }
  void finish() override {}

 private:
  Communicator& group_;
  std::vector<std::span<T>> parts_;
  bool contributes_;
};

}  // namespace convoy
