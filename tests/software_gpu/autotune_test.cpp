// Autotuning: the device decides, its choice is kept, and nothing that lives is touched. The stand-in has two
// engines for each of these graphs, for a convolution a naive one besides, and SOFTWARE_GPU_ENGINE_MS says
// how long each takes.
#include "engine/backend/cuda/runtime/autotune.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <stdlib.h>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "convoy/trainer.h"
#include "engine/backend/cuda/runtime/context.h"
#include "tests/cli/program.h"
#include "tests/software_gpu/plan_digest.h"
#include "tests/software_gpu/support.h"

namespace convoy::cuda {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::int64_t kFirst = 2;   // of the heuristics, for a convolution in fp32
constexpr std::int64_t kSecond = 5;  // the one behind it
constexpr std::int64_t kNaive = 0;   // what cuDNN ranks before both

dnn::OperationGraph convolution() {
  dnn::OperationGraph g("conv");
  g.output(g.convolve(g.input(dnn::Role::x, {2, 4, 5, 5}), g.input(dnn::Role::weight, {4, 4, 3, 3}),
                      {.kernel_size = {3, 3}}),
           dnn::Role::y);
  return g;
}

PlanRow chosen(Context& context) {
  float nowhere = 0.0f;  // it is bound, but not executed
  using enum dnn::Role;
  const auto bound =
      context.plan_store().request(convolution(), {{x, &nowhere}, {weight, &nowhere}, {y, &nowhere}});
  context.prepare();
  return context.plans().at(0);
}

PlanRow chosen(const DeviceOptions& options) {
  Context context(options);
  return chosen(context);
}

std::string engine(std::int64_t index) { return fmt::format("cuDNN engine {}", index); }

/// Changes what the only plan in a folder says, digest and all; returns what was there before.
template <typename Change>
std::string change_plan(const std::filesystem::path& folder, Change change) {
  const auto files = test::files_under(folder);
  EXPECT_THAT(files, SizeIs(1));
  const std::string before = read_file(folder / files[0]);
  nlohmann::json entry = nlohmann::json::parse(before);
  change(entry);
  entry["digest"] = test::plan_digest(entry["info"].dump() + entry["plan"].get<std::string>());
  write_file(folder / files[0], entry.dump());
  return before;
}

TEST(Autotune, TakesTheFastestAndNotTheFirst) {
  setenv("SOFTWARE_GPU_ENGINE_MS", "2:50", 1);
  EXPECT_EQ(chosen({.precision = Precision::fp32}).realised_by, engine(kFirst));
  EXPECT_EQ(chosen({.precision = Precision::fp32, .autotune = true}).realised_by, engine(kSecond));
  setenv("SOFTWARE_GPU_ENGINE_MS", "2:1,5:50", 1);
  EXPECT_EQ(chosen({.precision = Precision::fp32, .autotune = true}).realised_by, engine(kFirst));
}

TEST(Autotune, TakesANaiveEngineOnlyWhereItIsMeasuredFaster) {
  EXPECT_EQ(chosen({.precision = Precision::fp32}).realised_by, engine(kFirst));
  setenv("SOFTWARE_GPU_ENGINE_MS", "0:1,2:50,5:50", 1);
  const PlanRow row = chosen({.precision = Precision::fp32, .autotune = true});
  EXPECT_EQ(row.realised_by, engine(kNaive));
  EXPECT_THAT(row.notes, HasSubstr("naive, deterministic"));
}

TEST(Autotune, SaysWhatItMeasured) {
  setenv("SOFTWARE_GPU_ENGINE_MS", "2:50,5:10", 1);
  Context context({.precision = Precision::fp32, .autotune = true});
  chosen(context);
  chosen(context);  // the same graph again is the same row
  const auto rows = context.plans();
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].operation, "conv of [2, 4, 5, 5] and [4, 4, 3, 3]");
  EXPECT_EQ(rows[0].realised_by, "cuDNN engine 5");
  // An execution takes 10 ms by the stand-in's clock, and what the host takes for it besides.
  EXPECT_THAT(rows[0].notes, AllOf(HasSubstr("planned in "), HasSubstr("fastest of 3: 1")));
}

// CTest gives each case a process of its own: the trace and the faults are read when the first call is made.
class TracedAutotune : public testing::Test {
 protected:
  TracedAutotune() { setenv("SOFTWARE_GPU_TRACE", (folder_ / "trace").c_str(), 1); }

  std::ptrdiff_t calls(const std::string& function) const {
    return std::ranges::count(test::lines(read_file(folder_ / "trace")), function);
  }

  TemporaryFolder folder_;
};

TEST_F(TracedAutotune, ASecondStartNeitherPlansNorTimes) {
  setenv("SOFTWARE_GPU_ENGINE_MS", "2:50", 1);
  const DeviceOptions options{
      .precision = Precision::fp32, .autotune = true, .plan_cache = folder_ / "plans"};
  EXPECT_EQ(chosen(options).realisation, Realisation::planned);
  EXPECT_GT(calls("cudaEventRecord"), 0);
  const std::ptrdiff_t records = calls("cudaEventRecord");
  const std::ptrdiff_t finalised = calls("cudnnBackendFinalize");
  unsetenv("SOFTWARE_GPU_ENGINE_MS");  // the choice was made
  const PlanRow warm = chosen(options);
  EXPECT_EQ(warm.realisation, Realisation::from_cache);
  EXPECT_EQ(warm.realised_by, engine(kSecond));
  EXPECT_EQ(calls("cudaEventRecord"), records);
  EXPECT_EQ(calls("cudnnBackendFinalize"), finalised + 4)
      << "two descriptions of the device, the plan from its text, and a variant pack";
  // Who does not tune gets what the heuristics rank first.
  EXPECT_EQ(chosen({.precision = Precision::fp32, .plan_cache = folder_ / "plans"}).realised_by,
            engine(kFirst));
}

// What the file says of itself is true, but cuDNN thinks otherwise: an installation that was changed by
// halves.
TEST(PlanCache, APlanThatDoesNotLoadIsPlannedAgain) {
  const TemporaryFolder folder;
  std::vector<std::string> said;
  const auto train = [&] {
    said.clear();
    const auto backend =
        make_cuda_backend({.precision = Precision::fp32,
                           .plan_cache = folder / "plans",
                           .say = [&](const std::string& line, Remedy) { said.push_back(line); }});
    const Shape shapes[] = {{4, 4, 3, 3}};
    const auto weights = backend->make_parameters(shapes, /*with_gradients=*/false);
    const Variable x{backend->make_activation({2, 4, 5, 5}), nullptr};
    const Conv2d layer{.in_channels = 4, .out_channels = 4, .kernel_size = {3, 3}, .bias = false};
    const OperationPtr conv = backend->make_conv2d(layer, false, x, weights->variables()[0], {});
    backend->prepare();
    conv->forward(Phase::training);
    backend->synchronize();
  };
  train();
  EXPECT_THAT(said, SizeIs(0));
  const std::string good = change_plan(folder / "plans", [](nlohmann::json& entry) { entry["plan"] = "{}"; });
  train();
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_THAT(said[0], AllOf(HasSubstr("conv2d.fprop of [2, 4, 5, 5]"), HasSubstr("planned again")));
  EXPECT_EQ(change_plan(folder / "plans", [](nlohmann::json&) {}), good);
  train();
  EXPECT_THAT(said, SizeIs(0));
}

// cuDNN's word counts, not the file's: an engine would write behind a workspace that is too small.
TEST(PlanCache, APlanWithAnotherWorkspaceIsPlannedAgain) {
  const TemporaryFolder folder;
  std::vector<std::string> said;
  const DeviceOptions options{.precision = Precision::fp32,
                              .plan_cache = folder / "plans",
                              .say = [&](const std::string& line, Remedy) { said.push_back(line); }};
  const PlanRow planned = chosen(options);
  change_plan(folder / "plans", [](nlohmann::json& entry) { entry["info"]["workspace"] = 1; });
  EXPECT_EQ(chosen(options).workspace, planned.workspace);
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_THAT(said[0], HasSubstr(fmt::format("its workspace is {} bytes and not 1", planned.workspace)));
  EXPECT_EQ(chosen(options).realisation, Realisation::from_cache);
}

// A GPU without a batch norm in cuDNN finds a plan under its key all the same, as if a library of cuDNN's had
// gone since: the plan is not loaded, no other can be had, and the kernel does it.
TEST(PlanCache, WhereNoPlanIsLeftTheOwnKernelStandsIn) {
  const TemporaryFolder folder;
  std::vector<std::string> said;
  const auto realised = [&] {
    const auto backend =
        make_cuda_backend({.precision = Precision::fp32,
                           .plan_cache = folder / "plans",
                           .say = [&](const std::string& line, Remedy) { said.push_back(line); }});
    const auto tensor = [&](const Shape& shape) { return backend->make_activation(shape); };
    const auto variable = [&](const Shape& shape) { return Variable{tensor(shape), tensor(shape)}; };
    const BatchNormTensors tensors = {variable({4}), variable({4}), tensor({4}), tensor({4})};
    const auto norm = backend->make_batch_norm({.num_features = 4}, false, variable({2, 4, 5, 5}), tensors);
    backend->prepare();
    norm->forward(Phase::training);
    norm->backward();
    backend->synchronize();
    return backend->plans().at(0).realisation;
  };
  const auto description = [] { return dnn::describe_device(Context({}).cudnn()); };
  ASSERT_EQ(realised(), Realisation::planned);
  const std::string modern = description();
  setenv("SOFTWARE_GPU_ARCHITECTURE", "75", 1);
  for (const std::string& file : test::files_under(folder / "plans")) {
    nlohmann::json entry = nlohmann::json::parse(read_file(folder / "plans" / file));
    std::string key = entry["key"];
    key.replace(key.find(modern), modern.size(), description());
    entry["key"] = key;
    write_file(folder / "plans" / fmt::format("{:016x}.plan.json", test::plan_digest(key)), entry.dump());
  }
  EXPECT_EQ(realised(), Realisation::own_kernel);
  unsetenv("SOFTWARE_GPU_ARCHITECTURE");
  ASSERT_THAT(said, SizeIs(2));
  EXPECT_THAT(said, Each(HasSubstr("cannot be loaded, so it is planned again")));
}

TEST_F(TracedAutotune, WhatReplacesAnAutotunedPlanIsTimedAsWell) {
  setenv("SOFTWARE_GPU_ENGINE_MS", "2:50", 1);
  const DeviceOptions options{
      .precision = Precision::fp32, .autotune = true, .plan_cache = folder_ / "plans"};
  EXPECT_EQ(chosen(options).realised_by, engine(kSecond));
  const std::ptrdiff_t records = calls("cudaEventRecord");
  change_plan(folder_ / "plans", [](nlohmann::json& entry) { entry["plan"] = "{}"; });
  Context context(options);
  EXPECT_EQ(chosen(context).realised_by, engine(kSecond));
  EXPECT_GT(calls("cudaEventRecord"), records);
  EXPECT_THAT(context.plans().at(0).notes, HasSubstr("fastest of 3"));
  const PlanRow kept = chosen(options);
  EXPECT_EQ(kept.realisation, Realisation::from_cache);
  EXPECT_EQ(kept.realised_by, engine(kSecond));
}

TEST(PlanCache, AFolderThatCannotBeWrittenIsTold) {
  std::vector<std::pair<std::string, Remedy>> said;
  Context context({.precision = Precision::fp32,
                   .plan_cache = "/dev/null/plans",
                   .say = [&](const std::string& line, Remedy remedy) { said.emplace_back(line, remedy); }});
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_THAT(said[0].first, HasSubstr("plans cannot be kept in /dev/null/plans"));
  EXPECT_EQ(said[0].second, Remedy::another_plan_cache);
}

TEST(Autotune, ACandidateThatFailsIsDropped) {
  setenv("SOFTWARE_GPU_FAIL", "cudnnBackendExecute:1:4000", 1);
  setenv("SOFTWARE_GPU_ENGINE_MS", "5:50", 1);
  EXPECT_EQ(chosen({.precision = Precision::fp32, .autotune = true}).realised_by, engine(kSecond))
      << "slower, but it runs";
}

TEST(Autotune, ACandidateThatCannotBeCapturedIsDropped) {
  setenv("SOFTWARE_GPU_FAIL", "cudnnBackendExecute:3:4000", 1);  // the second run of the capture
  setenv("SOFTWARE_GPU_ENGINE_MS", "5:50", 1);
  EXPECT_EQ(chosen({.precision = Precision::fp32, .autotune = true}).realised_by, engine(kSecond));
}

TEST(Autotune, WhereNoneCanBeTimedTheFirstIsTakenAndNotKept) {
  setenv("SOFTWARE_GPU_FAIL", "cudaGraphInstantiate:0:719", 1);
  const TemporaryFolder folder;
  std::vector<std::string> said;
  const PlanRow row = chosen({.precision = Precision::fp32,
                              .autotune = true,
                              .plan_cache = folder / "plans",
                              .say = [&](const std::string& line, Remedy) { said.push_back(line); }});
  EXPECT_EQ(row.realised_by, engine(kFirst));
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_THAT(said[0],
              AllOf(HasSubstr("no plan for conv of [2, 4, 5, 5]"), HasSubstr("cudaGraphInstantiate")));
  EXPECT_EQ(dnn::PlanCache::count(folder / "plans"), 0u);
}

TEST(Autotune, WithoutMemoryToTimeInTheFirstIsTaken) {
  setenv("SOFTWARE_GPU_FAIL", "cudaMalloc:1:2", 1);
  setenv("SOFTWARE_GPU_ENGINE_MS", "2:50", 1);
  std::vector<std::string> said;
  EXPECT_EQ(chosen({.precision = Precision::fp32,
                    .autotune = true,
                    .say = [&](const std::string& line, Remedy) { said.push_back(line); }})
                .realised_by,
            engine(kFirst));
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_THAT(said[0], AllOf(HasSubstr("no plan for conv"), HasSubstr("out of device memory")));
}

TEST(Autotune, TouchesNoLiveTensorAndKeepsNoMemory) {
  const auto backend = make_cuda_backend({.precision = Precision::fp32, .autotune = true});
  const Shape shapes[] = {{4}, {4}};
  const auto parameters = backend->make_parameters(shapes, /*with_gradients=*/true);
  const auto made = [&](const Shape& shape, double value) {
    const TensorPtr tensor = backend->make_activation(shape);
    backend->write(*tensor, std::vector<double>(static_cast<std::size_t>(shape.count()), value));
    return tensor;
  };
  const Shape image{2, 4, 3, 3};
  const Variable x{made(image, 1.0), made(image, 2.0)};
  const BatchNormTensors tensors{parameters->variables()[0], parameters->variables()[1], made({4}, 3.0),
                                 made({4}, 4.0)};
  const OperationPtr norm = backend->make_batch_norm({.num_features = 4}, /*fuse_relu=*/true, x, tensors);
  std::size_t before = 0, after = 0, later = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
  backend->prepare();
  ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
  const auto rows = backend->plans();
  ASSERT_THAT(rows, SizeIs(2));
  for (const PlanRow& row : rows) EXPECT_THAT(row.notes, HasSubstr("fastest of 2"));
  const Buffer as_the_workspace(static_cast<std::size_t>(backend->memory().workspace));
  ASSERT_EQ(cudaMemGetInfo(&later, &total), cudaSuccess);
  EXPECT_EQ(before - after, after - later) << "one workspace is all that is kept";
  EXPECT_THAT(backend->read(*x.value), Each(1.0));
  EXPECT_THAT(backend->read(*x.grad), Each(2.0));
  EXPECT_THAT(backend->read(*tensors.running_mean), Each(3.0));
  EXPECT_THAT(backend->read(*tensors.running_var), Each(4.0));
  EXPECT_THAT(backend->read(*norm->output().value), Each(0.0));
  EXPECT_THAT(backend->read(*tensors.weight.grad), Each(0.0));
}

// The stand-in's engines compute alike, so tuning may change nothing: no weight, no running statistic.
// (Own kernels have sums of their own.)
TEST(Autotune, TrainsToTheSameBits) {
  setenv("SOFTWARE_GPU_ENGINE_MS", "2:50,10:50", 1);
  setenv("SOFTWARE_GPU_KERNEL_MS", "conv_weight:1000,batch_norm_pool:1000", 1);
  Dataset data{.name = "ramp", .image = {1, 8, 8}, .classes = 2};
  for (int i = 0; i < 18 * 64; ++i) data.pixels.push_back(static_cast<std::uint8_t>(i * 37 % 251));
  for (int i = 0; i < 18; ++i) data.labels.push_back(static_cast<std::uint8_t>(i % 2));
  const auto train = [&](const DeviceOptions& options) {
    const auto backend = make_cuda_backend(options);
    const Model model = builtin_model("convnet", {1, 8, 8}, 2);
    Trainer trainer(*backend, model, initial_state(model, 3), {.batch_size = 4, .epochs = 2});
    trainer.fit(data);
    return trainer.state();
  };
  const DeviceOptions options{.precision = Precision::fp32, .autotune = true};
  const StateDict by_other_engines = train(options);
  setenv("SOFTWARE_GPU_ENGINE_MS", "5:50,11:50", 1);
  EXPECT_EQ(train(options), by_other_engines);
}

}  // namespace
}  // namespace convoy::cuda
