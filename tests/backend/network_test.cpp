// Operations connected to each other: what one puts out is what the next takes, in the backend's own memory
// order. Compared with the double reference from the images to every gradient.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

class NetworkTest : public BackendTest {};

/// A small network on one backend: operations in order, ended by a cross-entropy.
class TestNetwork {
 public:
  TestNetwork(Backend& backend, const HostTensor& images, const std::vector<HostTensor>& parameters,
              const HostTensor& labels)
      : backend_(backend),
        images_(place(backend, images)),
        labels_(place(backend, labels, false).value),
        arena_(place_parameters(backend, parameters)),
        metrics_(backend.make_metrics()) {}

  const Variable& images() const { return images_; }
  const Variable& parameter(std::size_t i) const { return arena_->variables()[i]; }

  /// Appends an operation and returns what it puts out.
  Variable add(OperationPtr operation) {
    operations_.push_back(std::move(operation));
    return operations_.back()->output();
  }
  std::pair<Variable, Variable> fork(const Variable& x) {
    auto operation = backend_.make_fork(x);
    const std::pair<Variable, Variable> branches{operation->output(), operation->second()};
    operations_.push_back(std::move(operation));
    return branches;
  }
  Variable batch_norm(const Variable& x, std::size_t weight) {
    const std::int64_t channels = x.value->shape()[1];
    return add(backend_.make_batch_norm(
        {.num_features = channels}, true, x,
        {parameter(weight), parameter(weight + 1), place(backend_, zeros({channels}), false).value,
         place(backend_, zeros({channels}), false).value}));
  }
  void end_with_loss(const Variable& logits) {
    logits_ = logits;
    add(backend_.make_cross_entropy(logits, labels_, *metrics_));
    backend_.prepare();
  }

  /// Forward and backward; everything worth comparing, by name.
  std::map<std::string, Values> run() {
    for (const OperationPtr& operation : operations_) operation->forward(Phase::training);
    for (auto operation = operations_.rbegin(); operation != operations_.rend(); ++operation)
      (*operation)->backward();
    std::map<std::string, Values> results = {{"logits", backend_.read(*logits_.value)},
                                             {"loss", {metrics_->read().last_loss}},
                                             {"images.grad", backend_.read(*images_.grad)}};
    for (std::size_t i = 0; i < arena_->variables().size(); ++i) {
      results["parameter " + std::to_string(i) + ".grad"] = backend_.read(*parameter(i).grad);
    }
    return results;
  }

 private:
  Backend& backend_;
  Variable images_;
  TensorPtr labels_;
  std::unique_ptr<ParameterArena> arena_;
  std::unique_ptr<Metrics> metrics_;
  std::vector<OperationPtr> operations_;
  Variable logits_;
};

void expect_near(const std::map<std::string, Values>& actual, const std::map<std::string, Values>& expected,
                 double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, values] : expected) {
    EXPECT_THAT(actual.at(name), RelativelyNear(values, tolerance)) << name;
  }
}

HostTensor weights(const Shape& shape, std::uint64_t seed) {  // of a size that keeps activations near 1
  return normals(shape, seed, 0.0, 1.0 / std::sqrt(static_cast<double>(shape.count() / shape[0])));
}

// conv -> BN + ReLU -> max pool, twice, -> flatten -> linear: the ConvNet at odd sizes. The convolutions
// have no bias: in front of a batch norm its gradient is 0, and what a backend puts there is nothing but
// rounding.
std::map<std::string, Values> run_convnet(Backend& backend, std::int64_t channels) {
  const std::vector<HostTensor> parameters = {
      weights({channels, 3, 3, 5}, 1), normals({channels}, 2, 1.0, 0.1),
      normals({channels}, 3),          weights({33, channels, 3, 3}, 4),
      normals({33}, 5, 1.0, 0.1),      normals({33}, 6),
      weights({10, 198}, 7),           normals({10}, 8)};
  TestNetwork net(backend, normals({4, 3, 10, 13}, 9), parameters, random_labels(4, 10, 10));
  const Conv2d first{
      .in_channels = 3, .out_channels = channels, .kernel_size = {3, 5}, .padding = {1, 2}, .bias = false};
  const Conv2d second{
      .in_channels = channels, .out_channels = 33, .kernel_size = {3, 3}, .padding = {1, 1}, .bias = false};
  const Linear last{.in_features = 33 * 6, .out_features = 10};
  Variable x = net.add(backend.make_conv2d(first, false, net.images(), net.parameter(0), {}));
  x = net.batch_norm(x, 1);
  x = net.add(backend.make_max_pool({}, x));
  x = net.add(backend.make_conv2d(second, false, x, net.parameter(3), {}));
  x = net.batch_norm(x, 4);
  x = net.add(backend.make_max_pool({}, x));
  net.end_with_loss(
      net.add(backend.make_linear(last, backend.flatten(x), net.parameter(6), net.parameter(7))));
  return net.run();
}

/// Errors add up over the layers forward and back; 16 passes of the longest sum cover both networks. The
/// seeds keep every ReLU and every maximum away from a tie by more than that.
constexpr double kPasses = 16;

TEST_P(NetworkTest, ConvNetMatchesTheReference) {
  for (const std::int64_t channels : {1, 3, 16, 17}) {
    SCOPED_TRACE(channels);
    expect_near(run_convnet(backend(), channels), run_convnet(truth(), channels),
                kPasses * sum_tolerance(4 * 10 * 13));
  }
}

TEST_P(NetworkTest, ConvNetRepeatsBitForBit) {
  expect_near(run_convnet(backend(), 17), run_convnet(*GetParam().make(), 17), 0.0);
}

// conv -> fork -> (conv -> BN + ReLU, 1x1 conv) -> add -> ReLU -> dropout -> average pool -> linear
std::map<std::string, Values> run_residual(Backend& backend, std::int64_t channels) {
  const std::vector<HostTensor> parameters = {
      weights({channels, 1, 3, 3}, 21),        weights({channels, channels, 3, 3}, 22),
      normals({channels}, 23, 1.0, 0.1),       normals({channels}, 24),
      weights({channels, channels, 1, 1}, 25), weights({5, channels}, 26)};
  const auto counter = backend.make_counter();
  counter->write(3);
  TestNetwork net(backend, normals({3, 1, 6, 5}, 27), parameters, random_labels(3, 5, 28));
  const Conv2d first{
      .in_channels = 1, .out_channels = channels, .kernel_size = {3, 3}, .padding = {1, 1}, .bias = false};
  const Conv2d body{.in_channels = channels,
                    .out_channels = channels,
                    .kernel_size = {3, 3},
                    .padding = {1, 1},
                    .bias = false};
  const Conv2d shortcut{.in_channels = channels, .out_channels = channels, .bias = false};
  const Variable x = net.add(backend.make_conv2d(first, false, net.images(), net.parameter(0), {}));
  const auto [left, right] = net.fork(x);
  Variable a = net.add(backend.make_conv2d(body, false, left, net.parameter(1), {}));
  a = net.batch_norm(a, 2);
  const Variable b = net.add(backend.make_conv2d(shortcut, false, right, net.parameter(4), {}));
  Variable y = net.add(backend.make_add(a, b));
  y = net.add(backend.make_relu(y));
  y = net.add(backend.make_dropout({.p = 0.25}, y, {.seed = 1, .stream = 2}, *counter));
  y = net.add(backend.make_avg_pool({.kernel_size = {6, 5}}, y));
  net.end_with_loss(net.add(backend.make_linear({.in_features = channels, .out_features = 5, .bias = false},
                                                backend.flatten(y), net.parameter(5), {})));
  return net.run();
}

TEST_P(NetworkTest, ResidualMatchesTheReference) {
  for (const std::int64_t channels : {1, 3, 16, 33}) {
    SCOPED_TRACE(channels);
    expect_near(run_residual(backend(), channels), run_residual(truth(), channels),
                kPasses * sum_tolerance(9 * channels + 3 * 6 * 5));
  }
}

// The identity as a shortcut: y = relu(x) + x.
TEST_P(NetworkTest, ForkWithoutAnOperationOnOneBranch) {
  const LayerInput input{small_integers({2, 17, 3, 3}, 4, 1), {}, {}};
  const Variable x = place(backend(), input.x);
  const auto fork = backend().make_fork(x);
  const OperationPtr relu = backend().make_relu(fork->output());
  const OperationPtr add = backend().make_add(relu->output(), fork->second());
  for (Operation* operation : {static_cast<Operation*>(fork.get()), relu.get(), add.get()}) {
    operation->forward(Phase::training);
  }
  const Values upstream = small_integers({2, 17, 3, 3}, 4, 2).values;
  backend().write(*add->output().grad, upstream);
  for (Operation* operation : {add.get(), relu.get(), static_cast<Operation*>(fork.get())})
    operation->backward();

  Values y = input.x.values, dx = upstream;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (y[i] > 0) dx[i] *= 2;
    if (y[i] > 0) y[i] *= 2;
  }
  EXPECT_THAT(backend().read(*add->output().value), Exactly(y));
  EXPECT_THAT(backend().read(*x.grad), Exactly(dx));
}

// A whole training step, recorded once and replayed: batch, forward, loss, backward, Adam.
std::vector<double> train(Backend& backend, int steps) {
  Dataset dataset;
  dataset.name = "synthetic";
  dataset.image = {1, 4, 4};
  dataset.classes = 3;
  dataset.labels = {0, 1, 2, 0, 1, 2, 0, 1};
  for (const double value : small_integers({8, 16}, 127, 1).values) {
    dataset.pixels.push_back(static_cast<std::uint8_t>(value + 127));
  }
  const auto resident = backend.upload(dataset);
  const auto arena = place_parameters(backend, {weights({3, 16}, 2), normals({3}, 3)});
  const Variable images{backend.make_activation({4, 1, 4, 4}), nullptr};
  const TensorPtr labels = backend.make_tensor({4}, DType::int32);
  const auto metrics = backend.make_metrics();
  const AdamOptions options{.learning_rate = 0.03125f};
  const auto counter = backend.make_counter(step_rule(options));
  const auto batch = backend.make_batch(*resident, images.value, labels, {});
  const auto linear = backend.make_linear({.in_features = 16, .out_features = 3}, backend.flatten(images),
                                          arena->variables()[0], arena->variables()[1]);
  const auto loss = backend.make_cross_entropy(linear->output(), labels, *metrics);
  const auto adam = backend.make_optimizer(*arena, *counter, options);
  backend.prepare();
  const auto step = backend.record([&] {
    counter->advance();
    batch->forward(Phase::training);
    linear->forward(Phase::training);
    loss->forward(Phase::training);
    loss->backward();
    linear->backward();
    adam->step();
  });
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) {
    if (i % 2 == 0) resident->set_order(std::vector<std::uint32_t>{7, 2, 0, 4, 1, 6, 3, 5});
    step->run(1);
    losses.push_back(metrics->read().last_loss);
  }
  return losses;
}

TEST_P(NetworkTest, ARecordedTrainingStepLearns) {
  const std::vector<double> losses = train(backend(), 60);
  // Rounding differences grow by a constant factor a step at worst; in 20 steps they stay far below 1e-4 in
  // fp32 (2^-23 each), while one skipped or repeated update would move the loss by 1e-2.
  const double allowed = 1024 * backend().epsilon();
  const std::vector<double> expected = train(truth(), 20);
  EXPECT_THAT(Values(losses.begin(), losses.begin() + 20), Near(expected, allowed));
  EXPECT_LT(losses.back(), 0.5 * losses.front());
}

INSTANTIATE_TEST_SUITE_P(, NetworkTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
