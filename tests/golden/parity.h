// What the parity tests share: the golden files, the backends to hold against them, a training run by hand.
#pragma once

#include <gtest/gtest.h>
#include <cstdint>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "convoy/dataset.h"
#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "engine/train/network.h"

namespace convoy::parity {

/// A backend to test: those of the registry and the double reference. Those that this machine cannot run are
/// there too, so that their tests show as skipped.
std::vector<BackendStatus> backends();
std::shared_ptr<Backend> make(const std::string& name);

/// Plain loops: a step of the ConvNet takes seconds.
bool is_slow(const std::string& backend);

std::filesystem::path golden_file(const std::string& name);
nlohmann::json golden_json(const std::string& name);

/// {"shape", "values"} as the golden files store a tensor.
HostTensor tensor_from(const nlohmann::json& stored);

/// {"NAME": tensor, ...}; the order is the JSON library's. Scalars of PyTorch's int64 become int64.
StateDict state_from(const nlohmann::json& stored);

/// The largest |actual - expected|. Infinite if the counts differ or a value is no number.
double largest_error(std::span<const double> actual, std::span<const double> expected);

/// The same, relative to the largest entry of `expected` (absolute if all of that is 0).
double relative_error(std::span<const double> actual, std::span<const double> expected);

/// The images that PyTorch was trained on: the first 10,000 of MNIST.
Dataset golden_samples();

/// The training step of Trainer, taken apart: one test looks between backward and update. Visits the data set
/// in its order.
class TrainingRun {
 public:
  TrainingRun(Backend& backend, const Model& model, const StateDict& state, const Dataset& dataset,
              std::int64_t batch_size);

  /// Next batch, forward, loss, backward. Returns the loss.
  double compute_gradients();
  void zero_gradient(const std::string& parameter);
  void update();  // Adam with PyTorch's defaults
  /// Evaluates the batch that was last loaded; returns the logits.
  std::vector<double> evaluate();
  /// Loads the next batch without training on it.
  void load_batch() { batch_->forward(Phase::evaluation); }

  StateDict gradients() const { return parameters_.gradients(); }
  StateDict state() const { return parameters_.state(steps_); }

 private:
  Backend& backend_;
  Parameters parameters_;
  std::unique_ptr<DeviceDataset> dataset_;
  Variable images_;
  TensorPtr labels_;
  OperationPtr batch_;
  Network network_;
  std::unique_ptr<Metrics> metrics_;
  OperationPtr loss_;
  std::unique_ptr<StepCounter> counter_;
  std::unique_ptr<Optimizer> adam_;
  std::int64_t steps_ = 0;
};

/// One instance of each test for each backend, skipped where it cannot run.
class ParityTest : public testing::TestWithParam<BackendStatus> {
 protected:
  void SetUp() override;

  Backend& backend() { return *backend_; }
  double epsilon() const { return backend_->epsilon(); }
  bool slow() const { return is_slow(GetParam().name); }
  bool computes_in_double() const { return epsilon() < 1e-10; }

 private:
  std::shared_ptr<Backend> backend_;
};

/// "reference_double": the suffix of a test's name.
std::string test_name(const testing::TestParamInfo<BackendStatus>& info);

}  // namespace convoy::parity

namespace convoy {
inline void PrintTo(const BackendStatus& status, std::ostream* out) {
  *out << status.name;
}  // for GoogleTest
}  // namespace convoy
