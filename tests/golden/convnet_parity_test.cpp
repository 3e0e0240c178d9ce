// The classic ConvNet, trained from PyTorch's first weights on the same batches, against PyTorch's numbers.
// README.md explains why the biases of the convolutions are set apart.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "convoy/builtin.h"
#include "convoy/checkpoint.h"
#include "convoy/inference.h"
#include "convoy/trainer.h"
#include "tests/golden/parity.h"

namespace convoy::parity {
namespace {

constexpr double kLearningRate = 1e-3;
constexpr std::int64_t kBatch = 100;
const std::vector<std::string> kConvBiases = {"layer1.0.bias", "layer2.0.bias"};

bool is_conv_bias(const std::string& name) {
  return std::ranges::find(kConvBiases, name) != kConvBiases.end();
}

class ConvNetParity : public ParityTest {
 protected:
  void SetUp() override {
    ParityTest::SetUp();
    if (IsSkipped()) return;
    golden_ = golden_json("convnet.json");
    samples_ = golden_samples();
    ASSERT_EQ(samples_.count(), 100 * kBatch);
  }

  TrainingRun run_from(const std::string& checkpoint) {
    return TrainingRun(backend(), model_, load_checkpoint(golden_file(checkpoint)), samples_, kBatch);
  }

  std::vector<double> golden(const std::string& key) const {
    return golden_.at(key).get<std::vector<double>>();
  }

  /// True if the plain loops should do all the steps too, which takes minutes.
  static bool patient() { return std::getenv("CONVOY_PARITY_SLOW") != nullptr; }

  /// A simulated GPU is content with fewer.
  static std::size_t wanted_steps() {
    const char* steps = std::getenv("CONVOY_PARITY_STEPS");
    return steps ? std::stoul(steps) : 100;
  }

  nlohmann::json golden_;
  Dataset samples_;
  Model model_ = builtin_model("convnet", Shape{1, 28, 28}, 10);
};

TEST_P(ConvNetParity, LossesOfAHundredSteps) {
  const std::vector<double> in_float = golden("losses_float32");
  const std::vector<double> in_double = golden("losses_float64");
  ASSERT_EQ(in_double.size(), 100u);
  const std::size_t steps = slow() && !patient() ? 3 : std::min(in_double.size(), wanted_steps());

  TrainingRun run = run_from("convnet_init.ckpt");
  for (std::size_t i = 0; i < steps; ++i) {
    const double loss = run.compute_gradients();
    // Nothing has been trained yet: the mean of 100 losses, each off by the rounding of its logits, whose
    // longest sum is fc's 1568 products.
    if (i == 0) {
      EXPECT_NEAR(loss, in_double[0], std::max(epsilon(), 1e-10) * std::sqrt(1568.0) * in_double[0]);
    }
    // Rounding alone for twenty steps; then it may decide a maximum or a ReLU otherwise (README.md).
    const double tolerance = i < 20 ? 1e-5 : 1e-3;
    EXPECT_NEAR(loss, in_double[i], tolerance) << "step " << i + 1;
    EXPECT_NEAR(loss, in_float[i], tolerance) << "step " << i + 1;
    run.update();
  }
}

TEST_P(ConvNetParity, GradientsOfTheFirstStep) {
  const StateDict expected = load_checkpoint(golden_file("convnet_grads.ckpt"));
  TrainingRun run = run_from("convnet_init.ckpt");
  run.compute_gradients();
  const StateDict gradients = run.gradients();
  ASSERT_EQ(gradients.size(), expected.size());

  // The golden gradients are rounded to float, which bounds what a computation in double can show.
  const double tolerance = computes_in_double() ? 0x1p-23 : 1e-5;
  for (const auto& [name, gradient] : gradients) {
    const HostTensor* golden_gradient = find(expected, name);
    ASSERT_NE(golden_gradient, nullptr) << name;
    EXPECT_EQ(gradient.shape, golden_gradient->shape) << name;
    if (is_conv_bias(name)) continue;
    EXPECT_LE(relative_error(gradient.values, golden_gradient->values), tolerance) << name;
  }
}

TEST_P(ConvNetParity, ConvBiasGradientsAreRoundingNoise) {
  TrainingRun run = run_from("convnet_init.ckpt");
  run.compute_gradients();
  const StateDict gradients = run.gradients();
  const double planes[] = {28.0 * 28.0, 14.0 * 14.0};
  for (std::size_t i = 0; i < kConvBiases.size(); ++i) {
    const HostTensor* bias = find(gradients, kConvBiases[i]);
    ASSERT_NE(bias, nullptr);
    // In exact numbers the terms of a channel cancel to 0. In rounded ones batch norm's two means, sums of
    // N H W terms themselves, are off by up to eps sqrt(N H W) of what they sum, the same for every term.
    const double terms = golden_.at("conv_bias_terms").at(kConvBiases[i]).get<double>();
    const double bound = epsilon() * std::sqrt(kBatch * planes[i]) * terms;
    EXPECT_LE(largest_error(bias->values, std::vector<double>(bias->values.size(), 0.0)), bound)
        << kConvBiases[i];
  }
}

TEST_P(ConvNetParity, LogitsOfPyTorchsWeights) {
  TrainingRun run = run_from("convnet_step20.ckpt");
  run.load_batch();
  // The longest sum is fc's, 1568 products; its rounding and that of what it sums grow like its square root.
  const double tolerance = 4 * epsilon() * std::sqrt(1568.0);
  EXPECT_LE(relative_error(run.evaluate(), golden("step20_logits")), std::max(tolerance, 0x1p-24));
}

// With the norms folded a weight is rounded once more, which is one more product among 25 or 400.
TEST_P(ConvNetParity, LogitsOfPyTorchsWeightsFolded) {
  Dataset data = samples_;
  const std::size_t count = slow() ? kBatch : kBatch + 37;
  data.labels.resize(count);
  data.pixels.resize(count * 28 * 28);
  const StateDict state = load_checkpoint(golden_file("convnet_step20.ckpt"));
  Inference folded(backend(), model_, state, kBatch);
  std::vector<double> logits = folded.predict(data);
  const Evaluation evaluation = folded.evaluate(data);
  logits.resize(kBatch * 10);
  const double tolerance = std::max(4 * epsilon() * std::sqrt(1568.0), 0x1p-24);
  EXPECT_LE(relative_error(logits, golden("step20_logits")), tolerance);

  const Evaluation expected = Trainer(backend(), model_, state, {.batch_size = kBatch}).evaluate(data);
  EXPECT_EQ(evaluation.accuracy, expected.accuracy);
  EXPECT_EQ(evaluation.samples, expected.samples);
  // A loss moves by at most twice as much as its logits, which are below 10.
  EXPECT_NEAR(evaluation.loss, expected.loss, 2 * 10 * tolerance);
}

TEST_P(ConvNetParity, TwentyStepsWithoutTheNoiseOfConvBiases) {
  if (slow() && !patient())
    GTEST_SKIP() << "takes a minute with plain loops: set CONVOY_PARITY_SLOW=1 to run it";
  TrainingRun run = run_from("convnet_init.ckpt");
  for (int i = 0; i < 20; ++i) {
    run.compute_gradients();
    for (const std::string& bias : kConvBiases) run.zero_gradient(bias);
    run.update();
  }
  // Adam moves a weight by up to a learning rate a step, whatever the size of its gradient: rounding shows as
  // a fraction of that. PyTorch in fp32 stays within a thousandth (README.md); the batch statistics, sums
  // over 25 inputs or 400, move by ten times as much.
  const double tolerance = 1e-2 * kLearningRate;
  const StateDict expected = load_checkpoint(golden_file("convnet_step20.ckpt"));
  const StateDict state = run.state();
  ASSERT_EQ(state.size(), expected.size());
  for (const auto& [name, tensor] : state) {
    const HostTensor* golden_tensor = find(expected, name);
    ASSERT_NE(golden_tensor, nullptr) << name;
    const bool untouched = is_conv_bias(name) || name.ends_with("num_batches_tracked");
    const double scale = name.find("running") == std::string::npos ? 1.0 : 10.0;
    EXPECT_LE(largest_error(tensor.values, golden_tensor->values), untouched ? 0.0 : scale * tolerance)
        << name;
  }
  TrainingRun evaluation(backend(), model_, state, samples_, kBatch);
  evaluation.load_batch();
  EXPECT_LE(relative_error(evaluation.evaluate(), golden("step20_logits")), 10 * tolerance);
}

INSTANTIATE_TEST_SUITE_P(, ConvNetParity, testing::ValuesIn(backends()), test_name);

}  // namespace
}  // namespace convoy::parity
