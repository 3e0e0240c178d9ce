// Single layers and operations against PyTorch in double: padding, ties, running statistics, extreme logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "convoy/model.h"
#include "tests/golden/parity.h"

namespace convoy::parity {
namespace {

/// The layers behind a name in layers.json, named as in the nn.Sequential that PyTorch ran.
struct LayerCase {
  std::string name;
  std::vector<NamedLayer> layers;
};

std::vector<LayerCase> layer_cases() {
  const std::vector<NamedLayer> residual_identity = {
      {"body.0",
       Conv2d{.in_channels = 4, .out_channels = 4, .kernel_size = {3, 3}, .padding = {1, 1}, .bias = false}},
      {"body.1", BatchNorm2d{4}},
      {"body.2", ReLU{}},
      {"body.3",
       Conv2d{.in_channels = 4, .out_channels = 4, .kernel_size = {3, 3}, .padding = {1, 1}, .bias = false}},
      {"body.4", BatchNorm2d{4}}};
  const std::vector<NamedLayer> residual_strided = {
      {"body.0", Conv2d{.in_channels = 4,
                        .out_channels = 6,
                        .kernel_size = {3, 3},
                        .stride = {2, 2},
                        .padding = {1, 1},
                        .bias = false}},
      {"body.1", BatchNorm2d{6}},
      {"body.2", ReLU{}},
      {"body.3",
       Conv2d{.in_channels = 6, .out_channels = 6, .kernel_size = {3, 3}, .padding = {1, 1}, .bias = false}},
      {"body.4", BatchNorm2d{6}}};
  const std::vector<NamedLayer> projection = {
      {"shortcut.0", Conv2d{.in_channels = 4, .out_channels = 6, .stride = {2, 2}, .bias = false}},
      {"shortcut.1", BatchNorm2d{6}}};

  return {
      {"conv2d_stride_padding",
       {{"0", Conv2d{.in_channels = 4,
                     .out_channels = 3,
                     .kernel_size = {3, 2},
                     .stride = {2, 1},
                     .padding = {1, 0}}}}},
      {"conv2d_dilation",
       {{"0", Conv2d{.in_channels = 4,
                     .out_channels = 3,
                     .kernel_size = {3, 2},
                     .padding = {2, 1},
                     .dilation = {2, 3}}}}},
      {"conv2d_groups",
       {{"0", Conv2d{.in_channels = 4,
                     .out_channels = 6,
                     .kernel_size = {3, 3},
                     .stride = {2, 2},
                     .padding = {1, 1},
                     .groups = 2,
                     .bias = false}}}},
      {"conv2d_depthwise",
       {{"0",
         Conv2d{
             .in_channels = 4, .out_channels = 4, .kernel_size = {3, 3}, .padding = {1, 1}, .groups = 4}}}},
      {"avg_pool_with_padding",
       {{"0", AvgPool2d{.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}}}},
      {"avg_pool_without_padding",
       {{"0",
         AvgPool2d{.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}, .count_include_pad = false}}}},
      {"global_avg_pool", {{"0", GlobalAvgPool2d{}}}},
      {"max_pool_padding", {{"0", MaxPool2d{.kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}}}}},
      {"max_pool_ties", {{"0", MaxPool2d{.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}}}},
      {"relu_at_zero", {{"0", ReLU{}}}},
      {"batch_norm", {{"0", BatchNorm2d{4}}}},
      {"batch_norm_momentum", {{"0", BatchNorm2d{.num_features = 4, .eps = 1e-3, .momentum = 0.3}}}},
      {"batch_norm_relu", {{"0", BatchNorm2d{4}}, {"1", ReLU{}}}},
      {"linear_after_flatten", {{"0", Flatten{}}, {"1", Linear{.in_features = 120, .out_features = 3}}}},
      {"residual_identity", {{"0", Residual{.body = residual_identity, .shortcut = {}}}}},
      {"residual_projection", {{"0", Residual{.body = residual_strided, .shortcut = projection}}}},
  };
}

class LayerParity : public ParityTest {
 protected:
  /// The cases' sums have up to 150 products, and batch norm divides by what it has just summed: the worst
  /// case is half an eps a term, what is seen is its square root.
  double tolerance() const { return 64 * epsilon(); }

  void check(const std::vector<double>& actual, const nlohmann::json& expected, const std::string& what) {
    EXPECT_LE(relative_error(actual, tensor_from(expected).values), tolerance()) << what;
  }

  void check(const StateDict& actual, const nlohmann::json& expected) {
    EXPECT_EQ(actual.size(), expected.size());
    for (const auto& [name, tensor] : actual) {
      ASSERT_TRUE(expected.contains(name)) << name;
      check(tensor.values, expected.at(name), name);
    }
  }

  static nlohmann::json golden(const std::string& name) {
    const nlohmann::json file = golden_json("layers.json");
    const nlohmann::json& cases = file.at("cases");
    const auto found = std::ranges::find_if(cases, [&](const auto& c) { return c.at("name") == name; });
    return found == cases.end() ? nlohmann::json() : *found;
  }

  void run(const LayerCase& layer_case);
  void run_cross_entropy(const std::string& name);
  void run_optimizer(const std::string& name);
};

void LayerParity::run(const LayerCase& layer_case) {
  const nlohmann::json expected = golden(layer_case.name);
  ASSERT_FALSE(expected.is_null());
  const Shape input = tensor_from(expected.at("inputs").at(0)).shape;
  const Model model{layer_case.name, Shape{input[1], input[2], input[3]}, layer_case.layers};

  Parameters parameters(backend(), model, state_from(expected.at("state")));
  const Variable images{backend().make_activation(input), backend().make_activation(input)};
  Network network(backend(), model, parameters, images, DropoutSource{});
  backend().prepare();
  for (const nlohmann::json& batch : expected.at("inputs")) {
    backend().write(*images.value, tensor_from(batch).values);
    network.forward(Phase::training);
  }
  check(backend().read(*network.output().value), expected.at("output"), "output");
  backend().write(*network.output().grad, tensor_from(expected.at("upstream")).values);
  network.backward();
  check(backend().read(*images.grad), expected.at("input_gradient"), "input gradient");
  check(parameters.gradients(), expected.at("gradients"));
  check(parameters.state(static_cast<std::int64_t>(expected.at("inputs").size())),
        expected.at("state_after"));

  network.forward(Phase::evaluation);
  check(backend().read(*network.output().value), expected.at("eval_output"), "output in evaluation");
}

TEST_P(LayerParity, Layers) {
  for (const LayerCase& layer_case : layer_cases()) {
    SCOPED_TRACE(layer_case.name);
    run(layer_case);
  }
}

void LayerParity::run_cross_entropy(const std::string& name) {
  const nlohmann::json expected = golden(name);
  ASSERT_FALSE(expected.is_null());
  const HostTensor values = tensor_from(expected.at("logits"));
  const auto labels_values = expected.at("labels").get<std::vector<double>>();
  const Variable logits{backend().make_activation(values.shape), backend().make_activation(values.shape)};
  const TensorPtr labels = backend().make_tensor({values.shape[0]}, DType::int32);
  backend().write(*logits.value, values.values);
  backend().write(*labels, labels_values);

  const auto metrics = backend().make_metrics();
  const OperationPtr loss =
      backend().make_cross_entropy(logits, labels, *metrics, 0, expected.at("label_smoothing").get<double>());
  loss->forward(Phase::training);
  loss->backward();
  const MetricsReading reading = metrics->read();
  const double golden_loss = expected.at("loss").get<double>();
  EXPECT_NEAR(reading.last_loss, golden_loss, tolerance() * golden_loss);
  EXPECT_NEAR(reading.loss_sum, 5 * golden_loss, tolerance() * 5 * golden_loss);
  EXPECT_EQ(reading.correct, expected.at("correct").get<std::int64_t>());
  EXPECT_EQ(reading.samples, 5);
  // PyTorch's log-softmax subtracts, at the row of -5000, numbers of that size: its own rounding in double.
  EXPECT_LE(relative_error(backend().read(*logits.grad), tensor_from(expected.at("gradient")).values),
            std::max(tolerance(), 5000 * 0x1p-52));

  metrics->reset();
  loss->forward(Phase::evaluation);  // as a program evaluates that trains with a smoothed loss
  const double plain_loss = golden("cross_entropy").at("loss").get<double>();
  EXPECT_NEAR(metrics->read().last_loss, plain_loss, tolerance() * plain_loss);
}

TEST_P(LayerParity, CrossEntropyOfExtremeLogits) {
  for (const char* name : {"cross_entropy", "cross_entropy_smoothed", "cross_entropy_much_smoothed"}) {
    SCOPED_TRACE(name);
    run_cross_entropy(name);
  }
}

OptimizerOptions optimizer_from(const nlohmann::json& expected) {
  const nlohmann::json& options = expected.at("options");
  const auto rate = options.at("lr").get<float>(), decay = options.at("weight_decay").get<float>();
  const std::string type = expected.at("optimizer");
  if (type == "SGD") {
    return SgdOptions{.learning_rate = rate,
                      .momentum = options.at("momentum").get<float>(),
                      .weight_decay = decay,
                      .nesterov = options.at("nesterov").get<bool>()};
  }
  return AdamOptions{.learning_rate = rate, .weight_decay = decay, .decoupled_weight_decay = type == "AdamW"};
}

void LayerParity::run_optimizer(const std::string& name) {
  const nlohmann::json expected = golden(name);
  ASSERT_FALSE(expected.is_null());
  const HostTensor initial = tensor_from(expected.at("initial"));
  const auto parameters = backend().make_parameters(std::vector{initial.shape}, /*with_gradients=*/true);
  const Variable& parameter = parameters->variables()[0];
  backend().write(*parameter.value, initial.values);

  const OptimizerOptions options = optimizer_from(expected);
  const auto counter = backend().make_counter(step_rule(options));
  const auto optimizer = backend().make_optimizer(*parameters, *counter, options);
  const nlohmann::json& gradients = expected.at("gradients");
  for (const nlohmann::json& gradient : gradients) {
    backend().write(*parameter.grad, tensor_from(gradient).values);
    counter->advance();
    optimizer->step();
  }
  // Each step rounds a parameter of up to 2 once or twice. In float on every backend: so are the options.
  const double absolute = 2.0 * 2.0 * 0x1p-23 * static_cast<double>(gradients.size());
  EXPECT_LE(largest_error(backend().read(*parameter.value), tensor_from(expected.at("final")).values),
            absolute);
}

TEST_P(LayerParity, Optimizers) {
  for (const char* name : {"adam", "adam_decay", "adamw", "sgd", "sgd_momentum", "sgd_nesterov"}) {
    SCOPED_TRACE(name);
    run_optimizer(name);
  }
}

INSTANTIATE_TEST_SUITE_P(, LayerParity, testing::ValuesIn(backends()), test_name);

}  // namespace
}  // namespace convoy::parity
