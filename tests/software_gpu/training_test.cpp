// Whole trainings on the software GPU: with and without graphs, in every precision, and on real MNIST.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numeric>

#include "engine/backend/cuda/cuda.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/model/builtin.h"
#include "engine/model/state.h"
#include "engine/train/gradcheck.h"
#include "engine/train/trainer.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy {
namespace {

Dataset stripes(std::int64_t count) {
  Dataset data{.name = "stripes", .image = {1, 8, 8}, .classes = 2};
  PhiloxSequence random({7, 0});
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::uint8_t>(i % 2);
    for (unsigned pixel = 0; pixel < 64; ++pixel) {
      const bool lit = (label == 0 ? pixel % 8 : pixel / 8) % 4 < 2;
      data.pixels.push_back(static_cast<std::uint8_t>((lit ? 128 : 0) + random.below(100)));
    }
    data.labels.push_back(label);
  }
  return data;
}

struct Trained {
  StateDict state;
  Evaluation evaluation;
  std::vector<std::string> said;
};

// Three epochs of three full batches and a ragged one each.
Trained train(CudaOptions options, TrainOptions training = {}) {
  Trained trained;
  options.say = [&](const std::string& line) { trained.said.push_back(line); };
  const auto backend = make_cuda_backend(options);
  const Dataset data = stripes(38);
  const Model model = builtin_model("convnet", {1, 8, 8}, 2);
  training.batch_size = 10;
  training.epochs = 3;
  Trainer trainer(*backend, model, initial_state(model, 3), training);
  trainer.fit(data);
  trained.evaluation = trainer.evaluate(data);
  trained.state = trainer.state();
  return trained;
}

TEST(SoftwareGpuTraining, GraphsChangeNoBit) {
  const Trained graphed = train({});
  const Trained plain = train({.use_graphs = false});
  EXPECT_TRUE(graphed.said.empty()) << graphed.said.front();
  EXPECT_EQ(graphed.state, plain.state);
  EXPECT_EQ(graphed.evaluation.loss, plain.evaluation.loss);
  EXPECT_EQ(graphed.evaluation.accuracy, plain.evaluation.accuracy);
}

// Launches of 1, and of 1, 4, and a rest of single steps; and the losses that are printed in between.
TEST(SoftwareGpuTraining, ManyStepsALaunchChangeNoBit) {
  const auto run = [](std::int64_t steps_per_launch) {
    const auto backend = make_cuda_backend({.steps_per_launch = steps_per_launch});
    const Model model = builtin_model("convnet", {1, 8, 8}, 2);
    Trainer trainer(*backend, model, initial_state(model, 3),
                    {.batch_size = 4, .epochs = 2, .log_every = 7, .settle_batches = 2});
    std::vector<double> losses;
    trainer.fit(stripes(70), {.step = [&](const StepReport& step) { losses.push_back(step.loss); }});
    return std::pair(trainer.state(), losses);
  };
  const auto one = run(1);
  EXPECT_EQ(one.second.size(), 4u);
  EXPECT_EQ(run(4), one);
}

TEST(SoftwareGpuTraining, GraphsChangeNoBitOfSgdAndAugmentation) {
  const TrainOptions options{.optimizer = SgdOptions{.momentum = 0.9f, .nesterov = true},
                             .augmentation = {.max_shift = 2, .flip = true}};
  EXPECT_EQ(train({}, options).state, train({.use_graphs = false}, options).state);
}

// How often a function was called while `run` ran. CTest gives each case a process of its own, in which the
// trace begins.
class Trace {
 public:
  Trace() { setenv("SOFTWARE_GPU_TRACE", (folder_ / "trace").c_str(), 1); }

  std::vector<std::string> calls() const { return test::lines(test::content_of(folder_ / "trace")); }

  std::ptrdiff_t calls_by(const std::string& function, const std::function<void()>& run) const {
    const std::ptrdiff_t before = calls_of(function);
    run();
    return calls_of(function) - before;
  }

 private:
  std::ptrdiff_t calls_of(const std::string& function) const { return std::ranges::count(calls(), function); }

  test::TempFolder folder_;
};

// Nothing that the warm-up changes is frozen into a graph.
TEST(SoftwareGpuTraining, AWarmUpNeedsNoNewCapture) {
  const Trace trace;
  const Schedule warm_up{.kind = Schedule::Kind::linear, .start_factor = 0.1f, .total_iters = 8};
  Trained constant, graphed;
  const std::ptrdiff_t captures =
      trace.calls_by("cudaStreamBeginCapture", [&] { constant = train({.steps_per_launch = 2}); });
  EXPECT_EQ(trace.calls_by("cudaStreamBeginCapture",
                           [&] { graphed = train({.steps_per_launch = 2}, {.schedule = warm_up}); }),
            captures);
  EXPECT_TRUE(graphed.said.empty()) << graphed.said.front();
  EXPECT_EQ(graphed.state, train({.use_graphs = false}, {.schedule = warm_up}).state);
  EXPECT_NE(graphed.state, constant.state);
}

// Ten batches: one alone, and then four, four and one a launch, all of which the first evaluation captures.
TEST(SoftwareGpuTraining, ASecondEvaluationOnlyLaunches) {
  const Trace trace;
  const auto backend = make_cuda_backend({.steps_per_launch = 4});
  const Model model = builtin_model("convnet", {1, 8, 8}, 2);
  const Dataset data = stripes(40);
  Trainer trainer(*backend, model, initial_state(model, 3), {.batch_size = 4, .epochs = 1});
  const auto evaluator = trainer.evaluator(data);
  Evaluation first;
  EXPECT_GT(trace.calls_by("cudaStreamBeginCapture", [&] { first = evaluator->evaluate(); }), 0);
  const std::vector<std::string> before = trace.calls();
  EXPECT_EQ(evaluator->evaluate().loss, first.loss);
  std::vector<std::string> calls = trace.calls();
  calls.erase(calls.begin(), calls.begin() + std::ssize(before));
  const auto count = [&](const char* call) { return std::ranges::count(calls, std::string(call)); };
  for (const char* call : {"cudaMalloc", "cudaStreamBeginCapture", "cudaGraphInstantiate"}) {
    EXPECT_EQ(count(call), 0) << call;
  }
  EXPECT_EQ(count("cudaMemcpyAsync to_device"), 3) << "order, cursor, metrics; and no pixel";
}

TEST(SoftwareGpuTraining, SaysWhyThereIsNoGraph) {
  setenv("SOFTWARE_GPU_FAIL", "cudaGraphInstantiate:1:719", 1);
  // Read when the first call is made, so in a process of its own: CTest gives each case one.
  const Trained trained = train({});
  ASSERT_EQ(trained.said.size(), 1u);
  EXPECT_NE(trained.said[0].find("cudaGraphInstantiate"), std::string::npos) << trained.said[0];
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
TEST(SoftwareGpuTraining, SgdLearnsInBfloat16Too) {
  SKIP_IF_REFUSED(Precision::bf16);
  const TrainOptions options{.optimizer = SgdOptions{.learning_rate = 0.05f, .momentum = 0.9f}};
  const double exact = train({}, options).evaluation.loss;
  EXPECT_LT(exact, 0.5);
  const Trained trained = train({.precision = Precision::bf16}, options);
  EXPECT_EQ(trained.evaluation.accuracy, 1.0);
  // Here an update errs like its gradient, so twelve steps leave the distance between the logits up to 12 x
  // 2^-8 of itself off. The loss is e to the power of minus that distance: what is an error of the distance
  // is a relative error of the loss.
  EXPECT_NEAR(trained.evaluation.loss, exact, 12 * 0x1p-8 * -std::log(exact) * exact);
}

// A recording's first run allocates the workspace; what another network reserves before the second must not
// be allocated in the middle of the capture.
TEST(SoftwareGpuTraining, ALaterNetworkDoesNotDisturbACapture) {
  std::vector<std::string> said;
  const auto backend = make_cuda_backend({.say = [&](const std::string& line) { said.push_back(line); }});
  const auto linear = [&](std::int64_t features) {
    const Shape shapes[] = {{features, features}, {features}};
    const auto arena = backend->make_parameters(shapes, false);
    const Variable x{backend->make_activation({4, features}), nullptr};
    return backend->make_linear({.in_features = features, .out_features = features}, x, arena->variables()[0],
                                arena->variables()[1]);
  };
  const OperationPtr small = linear(8);
  const auto step = backend->record([&] { small->forward(Phase::evaluation); });
  step->run(1);
  const OperationPtr large = linear(256);
  step->run(1);
  backend->synchronize();
  EXPECT_TRUE(said.empty()) << said.front();
}

TEST(SoftwareGpuTraining, ASecondStartPlansNothingAndTrustsNoDamagedPlan) {
  const Trace trace;
  const test::TempFolder folder;
  const std::filesystem::path cache = folder / "plans";
  const Trained first = train({.plan_cache = cache});
  std::vector<std::string> files = test::files_under(cache);
  ASSERT_GE(files.size(), 10u);

  const auto again = [&] { EXPECT_EQ(train({.plan_cache = cache}).state, first.state); };
  const std::ptrdiff_t warm = trace.calls_by("cudnnBackendFinalize", again);
  // Two descriptions of the device; then for each graph a plan from its text, the same on the handle, and a
  // variant pack: no tensor and no operation.
  EXPECT_LE(warm, 2 + 3 * static_cast<std::ptrdiff_t>(files.size()));

  test::write_file(cache / files[0], "{");                                 // cut off
  test::write_file(cache / files[1], test::content_of(cache / files[2]));  // another graph's
  std::string flipped = test::content_of(cache / files[3]);
  flipped[flipped.find("workspace", flipped.find("\"plan\"")) + 1] = 'O';  // a bit of damage
  test::write_file(cache / files[3], flipped);
  EXPECT_GT(trace.calls_by("cudnnBackendFinalize", again), warm + 3 * 2);
  EXPECT_EQ(trace.calls_by("cudnnBackendFinalize", again), warm) << "what was planned anew was stored anew";
}

// The checks' tolerances come from the backend's epsilon: what a product's factors are rounded to.
class Precisions : public testing::TestWithParam<Precision> {};

TEST_P(Precisions, LearnsAsFp32Does) {
  SKIP_IF_REFUSED(GetParam());
  const double exact = train({}).evaluation.loss;
  EXPECT_LT(exact, 0.5);  // guessing gives ln 2 = 0.69
  const Trained trained = train({.precision = GetParam()});
  EXPECT_EQ(trained.evaluation.accuracy, 1.0);
  // Each of twelve steps rounds its factors to 2^-8, and Adam's step does not depend on a gradient's size.
  EXPECT_NEAR(trained.evaluation.loss, exact, 12 * 0x1p-8 * exact);
}

// cuBLAS lacks the epilogue, which it may call an invalid value: an own kernel stands in.
TEST_P(Precisions, LinearNeedsNoEpilogue) {
  // Read at the first call, so before it: CTest gives each case a process of its own.
  setenv("SOFTWARE_GPU_FAIL", "cublasLtMatmulAlgoGetHeuristic:1:7", 1);
  SKIP_IF_REFUSED(GetParam());
  const auto backend = make_cuda_backend({.precision = GetParam()});
  const Shape shapes[] = {{1, 8}, {1}};
  const auto arena = backend->make_parameters(shapes, /*with_gradients=*/true);
  const auto parameters = arena->variables();
  backend->write(*parameters[0].value, std::vector<double>(8, 0.5));
  backend->write(*parameters[1].value, std::vector<double>{3});
  const Variable x{backend->make_activation({2, 8}), nullptr};
  backend->write(*x.value, std::vector<double>(16, 2));
  const OperationPtr linear =
      backend->make_linear({.in_features = 8, .out_features = 1}, x, parameters[0], parameters[1]);
  linear->forward(Phase::training);
  EXPECT_EQ(backend->read(*linear->output().value), (std::vector<double>{11, 11}));
  backend->write(*linear->output().grad, std::vector<double>{1, 4});
  linear->backward();
  EXPECT_EQ(backend->read(*parameters[0].grad), std::vector<double>(8, 10));
  EXPECT_EQ(backend->read(*parameters[1].grad), std::vector<double>{5});
  const std::vector<PlanRow> rows = backend->plans();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].realisation, Realisation::own_kernel) << rows[0].operation;
  EXPECT_EQ(rows[0].realised_by, "own kernel: all of it, cuBLASLt has no algorithm");
  EXPECT_EQ(rows[1].realisation, Realisation::chosen) << rows[1].operation;
  EXPECT_EQ(rows[1].operation, "gemm of [1, 2] and [2, 8] with bias gradient");
}

TEST_P(Precisions, EveryLayerMatchesTheDoubleReference) {
  SKIP_IF_REFUSED(GetParam());
  const auto backend = make_cuda_backend({.precision = GetParam()});
  for (const GradcheckCase& c : gradcheck_cases()) {
    const GradcheckResult result = check_against_reference(c, *backend);
    EXPECT_LE(result.error, result.tolerance) << c.name << " in " << result.worst;
  }
}

std::string precision_name(const testing::TestParamInfo<Precision>& info) {
  switch (info.param) {
    case Precision::tf32:
      return "tf32";
    case Precision::bf16:
      return "bf16";
    case Precision::fp32:
      break;
  }
  return "fp32";
}

INSTANTIATE_TEST_SUITE_P(, Precisions, testing::Values(Precision::fp32, Precision::tf32, Precision::bf16),
                         precision_name);

// A product for which nothing stands in is no own kernel, and says so when it is needed.
TEST(SoftwareGpuTraining, AProductWithoutAlgorithmIsNothing) {
  setenv("SOFTWARE_GPU_FAIL", "cublasLtMatmulAlgoGetHeuristic:0:15", 1);
  const auto backend = make_cuda_backend({});
  const Shape shapes[] = {{1, 8}, {1}};
  const auto arena = backend->make_parameters(shapes, /*with_gradients=*/true);
  const Variable x{backend->make_activation({2, 8}), nullptr};
  const OperationPtr linear = backend->make_linear({.in_features = 8, .out_features = 1}, x,
                                                   arena->variables()[0], arena->variables()[1]);
  linear->forward(Phase::training);
  const std::vector<PlanRow> rows = backend->plans();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].realised_by, "own kernel: all of it, cuBLASLt has no algorithm");
  EXPECT_EQ(rows[1].realised_by, "own kernel: the bias gradient, cuBLASLt has no algorithm");
  EXPECT_EQ(rows[2].operation, "gemm of [1, 2] and [2, 8]");
  EXPECT_EQ(rows[2].realised_by, "nothing");
  EXPECT_EQ(rows[2].realisation, Realisation::nothing);
  try {
    linear->backward();
    FAIL() << "a product out of nothing";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "cuBLAS has no algorithm for a gemm of [1, 2] and [2, 8]");
  }
  backend->synchronize();
}

TEST(SoftwareGpuTraining, HundredStepsOfMnistReachALossBelowAHalf) {
  const auto mnist = test::real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA does not name MNIST's folder";
  const test::TempFolder folder;
  // Batches of 25, because a step of 100 takes the host most of a second.
  const test::Outcome outcome = test::run(
      {"train", "--device", "cuda", "--data", mnist->string(), "--limit-train", "2500", "--limit-test", "100",
       "--batch-size", "25", "--epochs", "1", "--log-every", "1", "--out", "out", "--json"},
      {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::vector<double> losses;
  for (const auto& event : test::json_lines(outcome.out)) {
    if (event.at("event") == "step") losses.push_back(event.at("loss"));
  }
  ASSERT_EQ(losses.size(), 100u);
  // The mean of the last twenty: a batch alone is noisy.
  EXPECT_LT(std::accumulate(losses.end() - 20, losses.end(), 0.0) / 20, 0.5);
}

}  // namespace
}  // namespace convoy
