#include "engine/backend/host_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "kernels/schedule_math.h"

namespace convoy {

void HostCounter::advance() { scalars_ = step_scalars(table_, scalars_.step + 1); }

void HostCounter::write(std::int64_t step) {
  scalars_ = step < 1 ? StepScalars{.step = step} : step_scalars(table_, step);
}

void HostStager::stage() {
  staged_ = {.tensors = {}, .step = sources_.counter.read(), .metrics = sources_.metrics.read()};
  for (const TensorPtr& tensor : sources_.tensors) staged_.tensors.push_back(backend_.read(*tensor));
}

void HostMetrics::count(double loss_sum, std::int64_t correct, std::int64_t samples, std::int64_t mean_over) {
  reading_.last_loss = loss_sum / static_cast<double>(mean_over);
  reading_.loss_sum += loss_sum;
  reading_.correct += correct;
  reading_.samples += samples;
}

HostDataset::HostDataset(const Dataset& dataset) : dataset_(dataset) {
  check_dataset(dataset);
  order_.reserve(dataset.labels.size());
}

void HostDataset::set_order(std::span<const std::uint32_t> order, std::int64_t begin, std::int64_t epoch) {
  check_order(order, begin, dataset_.labels.size(), dataset_.name);
  order_.assign(order.begin(), order.end());
  cursor_ = static_cast<std::size_t>(begin);
  epoch_ = epoch;
}

std::span<const std::uint32_t> HostDataset::next(std::size_t count) {
  if (count > order_.size() - cursor_) {
    throw Error(fmt::format("{}: a batch of {} asked for, but {} of {} samples are left; set the order again",
                            dataset_.name, count, order_.size() - cursor_, order_.size()));
  }
  cursor_ += count;
  return std::span<const std::uint32_t>(order_).subspan(cursor_ - count, count);
}

namespace {

class CountedBatch final : public Operation {
 public:
  CountedBatch(OperationPtr batch, StepCounter& counter) : batch_(std::move(batch)), counter_(counter) {}
  void forward(Phase phase) override {
    counter_.advance();
    batch_->forward(phase);
  }
  void backward() override { batch_->backward(); }

 private:
  OperationPtr batch_;
  StepCounter& counter_;
};

}  // namespace

OperationPtr counted(OperationPtr batch, StepCounter* counter) {
  if (!counter) return batch;
  return std::make_unique<CountedBatch>(std::move(batch), *counter);
}

double HostMark::milliseconds_since(const TimeMark& earlier) const {
  const auto& begin = own<const HostMark>("the earlier mark", earlier);
  return std::chrono::duration<double, std::milli>(time_ - begin.time_).count();
}

void HostFiniteCheck::look(const Tensor& tensor, std::int32_t part) {
  if (found_) return;
  const std::vector<double> values = backend_.read(tensor);
  if (std::ranges::all_of(values, [](double value) { return std::isfinite(value); })) return;
  found_ = NonFinite{part, counter_.read()};
}

std::unique_ptr<StepCounter> HostBackend::make_counter(const StepRule& rule) {
  return std::make_unique<HostCounter>(rule);
}

}  // namespace convoy
