// Trainings in which a call of a library fails, and starts that find plans on disk.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"
#include "tests/gpu/short_training.h"

namespace convoy {
namespace {

using test::precision_name;
using test::stripes;
using test::train_on_stripes;
using test::Trained;

// How often a function was called while `run` ran. CTest gives each case a process of its own, in which the
// trace begins.
class Trace {
 public:
  Trace() { setenv("SOFTWARE_GPU_TRACE", (folder_ / "trace").c_str(), 1); }

  std::vector<std::string> calls() const { return test::lines(read_file(folder_ / "trace")); }

  std::ptrdiff_t calls_by(const std::string& function, const std::function<void()>& run) const {
    const std::ptrdiff_t before = calls_of(function);
    run();
    return calls_of(function) - before;
  }

 private:
  std::ptrdiff_t calls_of(const std::string& function) const { return std::ranges::count(calls(), function); }

  TemporaryFolder folder_;
};

// Nothing that the warm-up changes is frozen into a graph.
TEST(SoftwareGpuTraining, AWarmUpNeedsNoNewCapture) {
  const Trace trace;
  const Schedule warm_up{LinearLR{.start_factor = 0.1, .total_iters = 8}};
  Trained constant, graphed;
  const std::ptrdiff_t captures =
      trace.calls_by("cudaStreamBeginCapture", [&] { constant = train_on_stripes({.steps_per_launch = 2}); });
  EXPECT_EQ(
      trace.calls_by("cudaStreamBeginCapture",
                     [&] { graphed = train_on_stripes({.steps_per_launch = 2}, {.schedule = warm_up}); }),
      captures);
  EXPECT_TRUE(graphed.said.empty()) << graphed.said.front();
  EXPECT_EQ(graphed.state, train_on_stripes({.use_cuda_graphs = false}, {.schedule = warm_up}).state);
  EXPECT_NE(graphed.state, constant.state);
}

// What is drawn for a step is read from the device, too, and the epoch from the order.
TEST(SoftwareGpuTraining, AugmentationNeedsNoNewCapture) {
  const Trace trace;
  const TrainOptions varied{.augmentation = {.max_shift = 2,
                                             .flip = Flip::alternating,
                                             .padding = Padding::reflect,
                                             .cutout = 2,
                                             .max_rotation = 20,
                                             .max_scaling = 0.1},
                            .label_smoothing = 0.1};
  Trained plain, graphed;
  const std::ptrdiff_t captures =
      trace.calls_by("cudaStreamBeginCapture", [&] { plain = train_on_stripes({.steps_per_launch = 2}); });
  EXPECT_EQ(trace.calls_by("cudaStreamBeginCapture",
                           [&] { graphed = train_on_stripes({.steps_per_launch = 2}, varied); }),
            captures);
  EXPECT_TRUE(graphed.said.empty()) << graphed.said.front();
  EXPECT_EQ(graphed.state, train_on_stripes({.use_cuda_graphs = false}, varied).state);
  EXPECT_NE(graphed.state, plain.state);
}

// The same three epochs on the CPU. The rates are so small that what is compared is not what a training makes
// of a rounding, and the decays so large that they show. An update of Muon has the roundings of its
// gradients, some 200 of 2^-24, blown up by up to 3.5 in each of five iterations: 12 steps * 1e-5 * 525 * 200
// * 2^-24 = 7.5e-7. Weights are rounded once a step, running statistics are sums of some hundred products.
TEST(SoftwareGpuTraining, ClippingMuonAndTheMovingAverageAreThoseOfTheCpu) {
  TrainOptions options{
      .optimizer = SgdOptions{.learning_rate = 1e-5f, .momentum = 0.9f, .weight_decay = 10.0f},
      .muon = MuonOptions{.learning_rate = 1e-5f, .weight_decay = 10.0f},
      .decay_weights_only = true,
      .clip_norm = 0.5f,
      .ema_decay = 0.75};
  const Trained graphed = train_on_stripes({.steps_per_launch = 2}, options);
  EXPECT_EQ(graphed.state, train_on_stripes({.use_cuda_graphs = false}, options).state);
  const Dataset data = stripes(38);
  const Model model = builtin_model("convnet", {1, 8, 8}, 2);
  const auto cpu = make_backend("cpu").backend;
  options.batch_size = 10;
  options.epochs = 3;
  Trainer trainer(*cpu, model, initial_state(model, 3), options);
  trainer.fit(data);
  for (const auto& [name, tensor] : trainer.state()) {
    const std::vector<double>& values = find(graphed.state, name)->values;
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], tensor.values[i], 7.5e-7 + 100 * 0x1p-24 * (1 + std::abs(tensor.values[i])))
          << name;
    }
  }
  options.muon.reset();
  EXPECT_NE(graphed.state, train_on_stripes({}, options).state);
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

// The epoch's loss is a mean over its own batches, whatever became of an evaluation between two of them.
TEST(SoftwareGpuTraining, AFailedEvaluationLeavesTheEpochsMetrics) {
  setenv("SOFTWARE_GPU_FAIL", "cudaGraphLaunch:3:719", 1);  // the first behind those of two training steps
  const auto backend = make_cuda_backend({});
  const Model model = builtin_model("convnet", {1, 8, 8}, 2);
  const Dataset data = stripes(40);
  const TrainOptions options{.batch_size = 4, .epochs = 1, .log_every = 1};
  const auto epoch_loss = [&](bool evaluates) {
    Trainer trainer(*backend, model, initial_state(model, 3), options);
    const auto evaluator = trainer.evaluator(data);
    double loss = 0.0;
    trainer.fit(data, {.step =
                           [&](const StepReport& report) {
                             if (evaluates && report.step == 2) {
                               EXPECT_THROW(evaluator->evaluate(), Error);
                             }
                           },
                       .epoch = [&](const EpochReport& report) { loss = report.loss; }});
    return loss;
  };
  const double disturbed = epoch_loss(true);
  EXPECT_EQ(disturbed, epoch_loss(false));
}

TEST(SoftwareGpuTraining, SaysWhyThereIsNoGraph) {
  setenv("SOFTWARE_GPU_FAIL", "cudaGraphInstantiate:1:719", 1);
  // Read when the first call is made, so in a process of its own: CTest gives each case one.
  const Trained trained = train_on_stripes({});
  ASSERT_EQ(trained.said.size(), 1u);
  EXPECT_NE(trained.said[0].find("cudaGraphInstantiate"), std::string::npos) << trained.said[0];
}

TEST(SoftwareGpuTraining, ASecondStartPlansNothingAndTrustsNoDamagedPlan) {
  const Trace trace;
  const TemporaryFolder folder;
  const std::filesystem::path cache = folder / "plans";
  const Trained first = train_on_stripes({.fuse = false, .plan_cache = cache});
  std::vector<std::string> files = test::files_under(cache);
  ASSERT_GE(files.size(), 8u);

  const auto again = [&] {
    EXPECT_EQ(train_on_stripes({.fuse = false, .plan_cache = cache}).state, first.state);
  };
  const std::ptrdiff_t warm = trace.calls_by("cudnnBackendFinalize", again);
  // Two descriptions of the device; then for each graph a plan from its text, and a variant pack: no tensor
  // and no operation.
  EXPECT_LE(warm, 2 + 2 * static_cast<std::ptrdiff_t>(files.size()));

  write_file(cache / files[0], "{");                          // cut off
  write_file(cache / files[1], read_file(cache / files[2]));  // another graph's
  std::string flipped = read_file(cache / files[3]);
  flipped[flipped.find("workspace", flipped.find("\"plan\"")) + 1] = 'O';  // a bit of damage
  write_file(cache / files[3], flipped);
  EXPECT_GT(trace.calls_by("cudnnBackendFinalize", again), warm + 2 * 2);
  EXPECT_EQ(trace.calls_by("cudnnBackendFinalize", again), warm) << "what was planned anew was stored anew";
}

class Precisions : public testing::TestWithParam<Precision> {};

// cuBLAS lacks the epilogue, which it may call an invalid value: an own kernel stands in.
TEST_P(Precisions, LinearNeedsNoEpilogue) {
  // Read at the first call, so before it: CTest gives each case a process of its own.
  setenv("SOFTWARE_GPU_FAIL", "cublasLtMatmulAlgoGetHeuristic:1:7", 1);
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
  backend->prepare();
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
  backend->prepare();
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

}  // namespace
}  // namespace convoy
