#include "tests/golden/parity.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "convoy/error.h"
#include "engine/backend/reference/reference.h"
#include "engine/data/idx.h"
#include "engine/data/order.h"
#include "tests/paths.h"

namespace convoy::parity {
namespace {

constexpr auto kDoubleReference = "reference-double";

double largest_magnitude(std::span<const double> values) {
  double largest = 0.0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

}  // namespace

std::vector<BackendStatus> backends() {
  std::vector<BackendStatus> all = backend_statuses();
  all.push_back({kDoubleReference, true, "plain loops in double"});
  return all;
}

std::shared_ptr<Backend> make(const std::string& name) {
  return name == kDoubleReference ? make_double_reference_backend()
                                  : make_backend(name, {.precision = Precision::fp32}).backend;
}

bool is_slow(const std::string& backend) { return backend.starts_with("reference"); }

std::filesystem::path golden_file(const std::string& name) {
  return test::path_of("CONVOY_GOLDEN", GOLDEN_FROM_HERE) / name;
}

nlohmann::json golden_json(const std::string& name) {
  std::ifstream file(golden_file(name));
  if (!file) throw Error("cannot read " + golden_file(name).string());
  return nlohmann::json::parse(file);
}

HostTensor tensor_from(const nlohmann::json& stored) {
  return {Shape(stored.at("shape").get<std::vector<std::int64_t>>()),
          stored.at("values").get<std::vector<double>>(), DType::float32};
}

StateDict state_from(const nlohmann::json& stored) {
  StateDict state;
  for (const auto& [name, tensor] : stored.items()) {
    state.emplace_back(name, tensor_from(tensor));
    if (name.ends_with("num_batches_tracked")) state.back().second.dtype = DType::int64;
  }
  return state;
}

double largest_error(std::span<const double> actual, std::span<const double> expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double largest = 0.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]);
    if (!(error <= largest)) largest = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return largest;
}

double relative_error(std::span<const double> actual, std::span<const double> expected) {
  const double scale = largest_magnitude(expected);
  return largest_error(actual, expected) / (scale > 0.0 ? scale : 1.0);
}

Dataset golden_samples() {
  return read_idx_pair(golden_file("mnist/train-images-idx3-ubyte.gz"),
                       golden_file("mnist/train-labels-idx1-ubyte.gz"), 10);
}

TrainingRun::TrainingRun(Backend& backend, const Model& model, const StateDict& state, const Dataset& dataset,
                         std::int64_t batch_size)
    : backend_(backend),
      parameters_(backend, model, state),
      dataset_(backend.upload(dataset)),
      images_{backend.make_activation({batch_size, model.input[0], model.input[1], model.input[2]}), nullptr},
      labels_(backend.make_tensor({batch_size}, DType::int32)),
      batch_(backend.make_batch(*dataset_, images_.value, labels_, {})),
      network_(backend, model, parameters_, images_, DropoutSource{}),
      metrics_(backend.make_metrics()),
      loss_(backend.make_cross_entropy(network_.output(), labels_, *metrics_)),
      counter_(backend.make_counter(step_rule(AdamOptions{}))),
      adam_(backend.make_optimizer(parameters_.arena(), *counter_, AdamOptions{})) {
  dataset_->set_order(sequential_order(dataset.count()));
  backend.prepare();
}

double TrainingRun::compute_gradients() {
  batch_->forward(Phase::training);
  network_.forward(Phase::training);
  loss_->forward(Phase::training);
  loss_->backward();
  network_.backward();
  ++steps_;
  return metrics_->read().last_loss;
}

void TrainingRun::zero_gradient(const std::string& parameter) {
  Tensor& gradient = *parameters_.at(parameter).grad;
  backend_.write(gradient, std::vector<double>(static_cast<std::size_t>(gradient.shape().count()), 0.0));
}

void TrainingRun::update() {
  counter_->advance();
  adam_->step();
}

std::vector<double> TrainingRun::evaluate() {
  network_.forward(Phase::evaluation);
  return backend_.read(*network_.output().value);
}

void ParityTest::SetUp() {
  if (!GetParam().usable) GTEST_SKIP() << GetParam().name << ": " << GetParam().detail;
  backend_ = make(GetParam().name);
}

std::string test_name(const testing::TestParamInfo<BackendStatus>& info) {
  std::string name = info.param.name;
  std::ranges::replace(name, '-', '_');
  return name;
}

}  // namespace convoy::parity
