// Whole trainings on whatever device CUDA finds: with and without graphs, in every precision, and on real
// MNIST. CTest runs them over the software GPU and, under the label `gpu`, on a real one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/train/gradcheck.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"
#include "tests/gpu/short_training.h"

namespace convoy::test {
namespace {

using testing::Each;

// Skips without a GPU.
class Training : public testing::Test {
 protected:
  void SetUp() override {
    const std::string why = cuda_backend_missing();
    if (!why.empty()) GTEST_SKIP() << "no GPU to test on: " << why;
  }
};

TEST_F(Training, GraphsChangeNoBit) {
  const Trained graphed = train_on_stripes({});
  const Trained plain = train_on_stripes({.use_cuda_graphs = false});
  EXPECT_TRUE(graphed.said.empty()) << graphed.said.front();
  EXPECT_EQ(graphed.state, plain.state);
  EXPECT_EQ(graphed.evaluation.loss, plain.evaluation.loss);
  EXPECT_EQ(graphed.evaluation.accuracy, plain.evaluation.accuracy);
}

// Launches of 1, and of 1, 4, and a rest of single steps; and the losses that are printed in between.
TEST_F(Training, ManyStepsALaunchChangeNoBit) {
  const auto run = [](std::int64_t steps_per_launch) {
    const auto backend = make_cuda_backend({.steps_per_launch = steps_per_launch});
    const Model model = builtin_model("convnet", {1, 8, 8}, 2);
    Trainer trainer(*backend, model, initial_state(model, 3),
                    {.batch_size = 4, .epochs = 2, .log_every = 7, .swa = true, .bn_batches = 2});
    std::vector<double> losses;
    trainer.fit(stripes(70), {.step = [&](const StepReport& step) { losses.push_back(step.loss); }});
    return std::pair(trainer.state(), losses);
  };
  const auto one = run(1);
  EXPECT_EQ(one.second.size(), 4u);
  EXPECT_EQ(run(4), one);
}

TEST_F(Training, GraphsChangeNoBitOfSgdAndAugmentation) {
  const TrainOptions options{.optimizer = SgdOptions{.momentum = 0.9f, .nesterov = true},
                             .augmentation = {.max_shift = 2, .flip = Flip::random}};
  EXPECT_EQ(train_on_stripes({}, options).state, train_on_stripes({.use_cuda_graphs = false}, options).state);
}

// Why this GPU has no such precision, if that is why the backend refuses it; any other error is thrown on.
std::string refusal(Precision precision) {
  try {
    make_cuda_backend({.precision = precision});
    return {};
  } catch (const Error& error) {
    const std::string why = error.what();
    if (why.find("needs a GPU of sm_") == std::string::npos) throw;
    return why;
  }
}
#define SKIP_IF_REFUSED(precision) \
  if (const std::string why = refusal(precision); !why.empty()) GTEST_SKIP() << why

// Convolutions and products read the rounded copies, which nothing but the optimizer brings up to date.
TEST_F(Training, SgdLearnsInBfloat16Too) {
  SKIP_IF_REFUSED(Precision::bf16);
  const TrainOptions options{.optimizer = SgdOptions{.learning_rate = 0.05f, .momentum = 0.9f}};
  const double exact = train_on_stripes({}, options).evaluation.loss;
  EXPECT_LT(exact, 0.5);
  const Trained trained = train_on_stripes({.precision = Precision::bf16}, options);
  EXPECT_EQ(trained.evaluation.accuracy, 1.0);
  // Here an update errs like its gradient, so twelve steps leave the distance between the logits up to 12 x
  // 2^-8 of itself off. The loss is e to the power of minus that distance: what is an error of the distance
  // is a relative error of the loss.
  EXPECT_NEAR(trained.evaluation.loss, exact, 12 * 0x1p-8 * -std::log(exact) * exact);
}

// What another network asks for between two runs of a recording is neither allocated in the middle of the
// capture, nor taken away from what was captured.
TEST_F(Training, ALaterNetworkDoesNotDisturbACapture) {
  std::vector<std::string> said;
  const auto backend =
      make_cuda_backend({.say = [&](const std::string& line, Remedy) { said.push_back(line); }});
  // All of 1 but for the biases, so that every sum is exact.
  const auto linear = [&](std::int64_t features) {
    const Shape shapes[] = {{features, features}, {features}};
    const auto arena = backend->make_parameters(shapes, false);
    const Variable x{backend->make_activation({4, features}), nullptr};
    const auto fill = [&](const TensorPtr& tensor, double value) {
      backend->write(*tensor, std::vector(static_cast<std::size_t>(tensor->shape().count()), value));
    };
    fill(x.value, 1.0);
    fill(arena->variables()[0].value, 1.0);
    fill(arena->variables()[1].value, 0.5);
    return backend->make_linear({.in_features = features, .out_features = features}, x, arena->variables()[0],
                                arena->variables()[1]);
  };
  const auto expect_output = [&](const Operation& operation, double value) {
    const TensorPtr& y = operation.output().value;
    EXPECT_THAT(backend->read(*y), Each(value));
    backend->write(*y, std::vector(static_cast<std::size_t>(y->shape().count()), -1.0));  // for the next run
  };
  const OperationPtr small = linear(8);
  backend->prepare();
  const auto step = backend->record([&] { small->forward(Phase::evaluation); });
  step->run(1);
  expect_output(*small, 8.5);
  const OperationPtr large = linear(256);
  step->run(1);
  expect_output(*small, 8.5);
  backend->prepare();
  step->run(1);
  large->forward(Phase::evaluation);
  expect_output(*small, 8.5);
  expect_output(*large, 256.5);
  EXPECT_TRUE(said.empty()) << said.front();
}

// The checks' tolerances come from the backend's epsilon: what a product's factors are rounded to.
class Precisions : public Training, public testing::WithParamInterface<Precision> {};

TEST_P(Precisions, LearnsAsFp32Does) {
  SKIP_IF_REFUSED(GetParam());
  const double exact = train_on_stripes({}).evaluation.loss;
  EXPECT_LT(exact, 0.5);  // guessing gives ln 2 = 0.69
  const Trained trained = train_on_stripes({.precision = GetParam()});
  EXPECT_EQ(trained.evaluation.accuracy, 1.0);
  // Each of twelve steps rounds its factors to 2^-8, and Adam's step does not depend on a gradient's size.
  EXPECT_NEAR(trained.evaluation.loss, exact, 12 * 0x1p-8 * exact);
}

TEST_P(Precisions, EveryLayerMatchesTheDoubleReference) {
  SKIP_IF_REFUSED(GetParam());
  const auto backend = make_cuda_backend({.precision = GetParam()});
  for (const GradcheckCase& c : gradcheck_cases()) {
    const GradcheckResult result = check_against_reference(c, *backend);
    EXPECT_LE(result.error, result.tolerance) << c.name << " in " << result.worst;
  }
}

INSTANTIATE_TEST_SUITE_P(, Precisions, testing::Values(Precision::fp32, Precision::tf32, Precision::bf16),
                         precision_name);

TEST_F(Training, HundredStepsOfMnistReachALossBelowAHalf) {
  const auto mnist = real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA does not name MNIST's folder";
  const TemporaryFolder folder;
  // Batches of 25, because a step of 100 takes the host most of a second.
  const Outcome outcome =
      run({"train", "--device", "cuda", "--data", mnist->string(), "--limit-train", "2500", "--limit-test",
           "100", "--batch-size", "25", "--epochs", "1", "--log-every", "1", "--out", "out", "--json"},
          {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::vector<double> losses;
  for (const auto& event : json_lines(outcome.out)) {
    if (event.at("event") == "step") losses.push_back(event.at("loss"));
  }
  ASSERT_EQ(losses.size(), 100u);
  // The mean of the last twenty: a batch alone is noisy.
  EXPECT_LT(std::accumulate(losses.end() - 20, losses.end(), 0.0) / 20, 0.5);
}

}  // namespace
}  // namespace convoy::test
