// The program's flags for the CUDA backend, and what `convoy doctor` says of one GPU and another.
#include <gmock/gmock.h>

#include <cmath>

#include "engine/backend/cuda/dnn/plan_cache.h"
#include "tests/software_gpu/support.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class DeviceFlagsTest : public GpuProgram {
 protected:
  Outcome train_short(std::vector<std::string> more, std::map<std::string, std::string> environment = {}) {
    more.insert(more.end(), {"--limit-train", "8", "--limit-test", "4"});
    Outcome outcome = train(more, std::move(environment));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    json_lines(outcome.out);  // fails the test if anything else is on standard output
    return outcome;
  }
  std::string plans() const { return (folder_ / "plans").string(); }
};

TEST_F(DeviceFlagsTest, VerboseListsPlansAndOwnKernels) {
  const Outcome cold =
      train_short({"--verbose", "--precision", "fp32", "--no-fuse", "--plan-cache", plans()});
  for (const char* text :
       {"operation", "conv2d.fprop of [4, 1, 8, 8] and [4, 1, 3, 3]", "cuDNN engine 2", "deterministic",
        "runtime compiled", "batch_norm+relu.training of [4, 4, 8, 8]", "planned in",
        "batch_norm.training of [4, 3, 2, 2]", "own kernel: batch norm", "cuDNN has no plan",
        "gemm of [4, 12] and [12, 10] with bias", "cuBLASLt", ", 0 from the cache, 4 own kernels, "}) {
    EXPECT_THAT(cold.err, HasSubstr(text));
  }
  const std::size_t count = cuda::dnn::PlanCache::count(plans());
  EXPECT_GE(count, 7u);
  const Outcome warm =
      train_short({"--verbose", "--precision", "fp32", "--no-fuse", "--plan-cache", plans()});
  EXPECT_THAT(warm.err, AllOf(HasSubstr("\n0 planned, " + std::to_string(count) + " from the cache"),
                              Not(HasSubstr("planned in"))));
  EXPECT_EQ(cuda::dnn::PlanCache::count(plans()), count);
}

// As on a machine without nvrtc.
TEST_F(DeviceFlagsTest, OwnKernelsKeepTrainingGoing) {
  const auto loss = [](const Outcome& outcome) {
    for (const auto& event : json_lines(outcome.out)) {
      if (event.contains("loss") && event.contains("checkpoint")) return event["loss"].get<double>();
    }
    return std::nan("");
  };
  const Outcome usual = train_short({"--precision", "fp32", "--no-fuse"});
  const Outcome outcome =
      train_short({"--verbose", "--precision", "fp32", "--no-fuse"}, {{"SOFTWARE_GPU_CUDNN_LACKS", "nvrtc"}});
  for (const char* text : {"own kernel: max pool", "own kernel: batch norm", "own kernel: weight gradient, ",
                           "faster for few channels"}) {
    EXPECT_THAT(outcome.err, HasSubstr(text));
  }
  // Two steps in fp32; the losses' sums are hundreds of terms long.
  EXPECT_NEAR(loss(outcome), loss(usual), 1e-5 * loss(usual));
}

TEST_F(DeviceFlagsTest, PlansAreKeptUnlessToldOtherwise) {
  const std::map<std::string, std::string> environment = {{"CONVOY_CACHE", plans()}};
  train_short({"--no-plan-cache"}, environment);
  EXPECT_EQ(cuda::dnn::PlanCache::count(plans()), 0u);
  const Outcome outcome = train_short({"--no-fuse"}, environment);
  EXPECT_GE(cuda::dnn::PlanCache::count(plans()), 7u);
  EXPECT_EQ(outcome.err, "") << "nothing is said without --verbose";
}

TEST_F(DeviceFlagsTest, TheProgressLineTellsTheGpusMemory) {
  const Outcome outcome = run_on_terminal(
      {"train", "--device", "cuda", "--dataset", "idx", "--data", "digits", "--model", "model.json",
       "--epochs", "1", "--batch-size", "4", "--limit-train", "8", "--log-every", "1", "--out", "out"},
      {folder_.path(), {{"TERM", "xterm"}}}, 120);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              ContainsRegex("loss [0-9.]+, acc [0-9.]+ %, lr 0.001, [0-9]+ images/s, [0-9]+ MiB, "
                            "[0-9:]+ left"));
}

TEST_F(DeviceFlagsTest, PrecisionReachesTheLayers) {
  const Outcome tf32 = train_short({"--verbose", "--precision", "tf32"});
  EXPECT_THAT(tf32.err, HasSubstr("tensor cores"));
  const Outcome bf16 = train_short({"--verbose", "--precision", "bf16"});
  EXPECT_THAT(bf16.err, AllOf(HasSubstr("gemm of [4, 12] and [12, 10] with bias "), HasSubstr("cuBLASLt"),
                              Not(HasSubstr("cuBLASLt has no algorithm"))))
      << "the bias and its gradient are epilogues in bf16, too";
  for (const std::string precision : {"tf32", "bf16"}) {
    const Outcome old = train({"--precision", precision}, {{"SOFTWARE_GPU_ARCHITECTURE", "75"}});
    EXPECT_EQ(old.code, 1);
    EXPECT_EQ(old.err, "convoy: error: " + precision +
                           " needs a GPU of sm_80 (Ampere) or newer, software GPU (tests only) is sm_75: "
                           "take fp32\n");
  }
}

TEST_F(DeviceFlagsTest, ARunNamesTheLibrariesThatItLoaded) {
  const auto events = json_lines(train_short({}).out);
  const auto& versions = events.at(0).at("versions");
  EXPECT_EQ(versions.at("CUDA"), "13.0");
  EXPECT_EQ(versions.at("CUDA driver"), "for CUDA up to 13.0");
  EXPECT_EQ(versions.at("cuDNN"), "9.19.0");
  EXPECT_TRUE(versions.contains("cuBLASLt"));
}

// PyTorch's default: TF32 for convolutions, where the GPU has it. The line `device` says so.
TEST_F(DeviceFlagsTest, ThePrecisionWithoutTheFlagIsPyTorchs) {
  const auto described = [&](const std::vector<std::string>& flags, const std::string& architecture) {
    const Outcome outcome = train(flags, {{"SOFTWARE_GPU_ARCHITECTURE", architecture}});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (const auto& event : json_lines(outcome.out)) {
      if (event.at("event") == "run") return event.at("device_description").get<std::string>();
    }
    return std::string("no event");
  };
  const std::string torch = ", tf32 (convolutions in TF32, linear layers in fp32, as PyTorch by default)";
  EXPECT_THAT(described({}, "90"), testing::EndsWith(torch));
  EXPECT_THAT(described({}, "75"), testing::EndsWith(", strict fp32"));
  EXPECT_THAT(described({"--precision", "fp32"}, "90"), testing::EndsWith(", strict fp32"));
  EXPECT_THAT(described({"--precision", "bf16"}, "90"), testing::EndsWith(", bf16"));
  const auto rounds = [&](const std::vector<std::string>& flags) {
    return train_short(flags).err.find("tensor cores") != std::string::npos;
  };
  EXPECT_TRUE(rounds({"--verbose"}));
  EXPECT_FALSE(rounds({"--verbose", "--precision", "fp32"}));
}

// As a build for sm_90 has no code that an A100 could run.
TEST_F(DeviceFlagsTest, ABuildWithoutKernelsForThisGpuIsRefusedInOneLine) {
  const std::map<std::string, std::string> environment = {
      {"SOFTWARE_GPU_ARCHITECTURE", "80"}, {"SOFTWARE_GPU_FAIL", "cudaFuncGetAttributes:0:209"}};
  const Outcome outcome = train({}, environment);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
  EXPECT_THAT(
      outcome.err,
      AllOf(ContainsRegex("this build has kernels for sm_[0-9]+( with PTX)?,"),
            HasSubstr(", this GPU is sm_80 (no kernel image is available for execution on the device)"),
            HasSubstr("configure with -DCMAKE_CUDA_ARCHITECTURES=80 and build again")));
}

TEST_F(DeviceFlagsTest, NondeterminismIsAllowedOnlyWhenAskedFor) {
  EXPECT_THAT(train_short({"--verbose", "--precision", "fp32"}).err, Not(HasSubstr("not deterministic")));
  EXPECT_THAT(train_short({"--verbose", "--precision", "fp32", "--nondeterministic"}).err,
              AllOf(HasSubstr("cuDNN engine 1 "), HasSubstr("not deterministic")));
}

TEST_F(DeviceFlagsTest, AutotuneTimes) {
  const Outcome outcome =
      train_short({"--verbose", "--precision", "fp32", "--autotune"}, {{"SOFTWARE_GPU_ENGINE_MS", "2:50"}});
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("cuDNN engine 5"), HasSubstr("fastest of 3: ")));
  EXPECT_THAT(outcome.err, Not(HasSubstr("cuDNN engine 2 ")));
}

TEST_F(DeviceFlagsTest, NoGraphLaunchesOneByOne) {
  for (const std::string& call : trace({"--no-graph", "--limit-train", "16"})) {
    EXPECT_NE(function_of(call), "cudaGraphLaunch");
    EXPECT_NE(function_of(call), "cudaStreamBeginCapture");
  }
}

TEST_F(DeviceFlagsTest, ANoteIsSaidOnce) {
  // Each of two networks, of the batch and of the ragged rest, finds that it cannot be captured.
  const Outcome outcome =
      train({"--limit-train", "14", "--epochs", "3"}, {{"SOFTWARE_GPU_FAIL", "cudaGraphInstantiate:0:719"}});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto notes = lines(outcome.err);
  ASSERT_EQ(notes.size(), 1u) << outcome.err;
  EXPECT_THAT(notes[0], testing::StartsWith("convoy: note: no CUDA graph"));
}

TEST_F(DeviceFlagsTest, TheyAreTheCudaBackendsAlone) {
  const Outcome one = run({"gradcheck", "--device", "reference", "--no-graph"}, {folder_.path()});
  EXPECT_EQ(one.code, 2);
  EXPECT_EQ(one.err,
            "convoy: error: --no-graph is the CUDA backend's; this is the reference backend (reference, as "
            "asked)\n");
  const Outcome both = run({"bench", "--device", "reference", "--no-graph", "--autotune"}, {folder_.path()});
  EXPECT_EQ(both.code, 2);
  EXPECT_THAT(both.err, HasSubstr("--no-graph, --autotune are the CUDA backend's"));
}

TEST_F(DeviceFlagsTest, VerboseIsForEveryBackend) {
  EXPECT_EQ(train_short({"--device", "reference", "--verbose"}).err,
            "Nothing was planned: the reference backend needs no plans here.\n");
}

// What the doctor says in the section CUDA, and his advice.
std::string doctor(std::map<std::string, std::string> environment) {
  const TemporaryFolder folder;
  const Outcome outcome = run({"doctor"}, {folder.path(), std::move(environment)});
  EXPECT_EQ(outcome.code, 0) << "a report is no failure: " << outcome.err;
  return outcome.out;
}

TEST(DoctorCuda, DescribesAGoodGpu) {
  const std::string out = doctor({{"CONVOY_CACHE", "/dev/null/none"}});
  for (const char* text :
       {"CUDA driver      for CUDA up to 13.0", "cuDNN            9.19.0", "all of one version", "cuBLASLt",
        "1, the first is used", "software GPU (tests only), sm_90, 16.0 GiB; fp32, tf32, bf16",
        "none stand in for cuDNN or cuBLAS", "plan cache", "0 plans"}) {
    EXPECT_THAT(out, HasSubstr(text));
  }
  for (const char* advice :
       {"  cuDNN:", "  cuDNN libraries:", "  GPU 0:", "  CUDA driver:", "  own kernels:"}) {
    EXPECT_THAT(out, Not(HasSubstr(advice)));
  }
}

TEST(DoctorCuda, NamesTheOwnKernelsOfTuring) {
  EXPECT_THAT(doctor({{"SOFTWARE_GPU_ARCHITECTURE", "75"}}),
              AllOf(HasSubstr("sm_75, 16.0 GiB; fp32 (tf32 and bf16 need sm_80)"),
                    HasSubstr("stand in for batch_norm+relu.backward, batch_norm+relu.training\n")));
}

TEST(DoctorCuda, RefusesAnOldArchitecture) {
  EXPECT_THAT(doctor({{"SOFTWARE_GPU_ARCHITECTURE", "61"}}),
              AllOf(HasSubstr("sm_61, 16.0 GiB, not supported"),
                    HasSubstr("  GPU 0: Convoy and CUDA 13 need sm_75 (Turing) or newer"),
                    HasSubstr("unknown without a usable GPU")));
}

TEST(DoctorCuda, FindsABuildWithoutKernelsForTheGpu) {
  EXPECT_THAT(
      doctor({{"SOFTWARE_GPU_ARCHITECTURE", "80"}, {"SOFTWARE_GPU_FAIL", "cudaFuncGetAttributes:0:209"}}),
      AllOf(HasSubstr("kernels          no kernel image is available for execution on the device"),
            HasSubstr("  kernels: this build has kernels for sm_"),
            HasSubstr("-DCMAKE_CUDA_ARCHITECTURES=80"), HasSubstr("unknown without a usable GPU")));
}

TEST(DoctorCuda, FindsMixedLibraries) {
  EXPECT_THAT(doctor({{"SOFTWARE_GPU_FAIL", "cudnnCnnVersionCheck:1:1002"}}),
              AllOf(HasSubstr("libcudnn_cnn: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH"),
                    HasSubstr("  cuDNN libraries: they are of different versions")));
  EXPECT_THAT(doctor({{"SOFTWARE_GPU_CUDNN_VERSION", "91001"}}),
              AllOf(HasSubstr("9.10.1 (built with the headers of "),
                    HasSubstr("  cuDNN: cuDNN 9.10.1 is older than 9.11.0: install libcudnn9-cuda-13"),
                    HasSubstr("unknown without a usable GPU")));
  EXPECT_THAT(doctor({{"SOFTWARE_GPU_CUDNN_VERSION", "91100"}}),
              AllOf(HasSubstr("9.11.0 (built with the headers of "),
                    HasSubstr("it is older than this build's headers")));
  EXPECT_THAT(doctor({{"SOFTWARE_GPU_CUDNN_CUDA", "12090"}}),
              HasSubstr("  cuDNN: it was made for CUDA 12, this build for 13: install libcudnn9-cuda-13"));
}

// cuDNN compiles its engines with it; tests/install shows a machine without it.
TEST(DoctorCuda, FindsTheCompiler) {
  EXPECT_THAT(doctor({}), ContainsRegex("libnvrtc +/[^\n]*libnvrtc\\.so\\.13"));
}

TEST(DoctorCuda, FindsNoPlaceForPlans) {
  EXPECT_THAT(doctor({{"CONVOY_CACHE", ""}, {"XDG_CACHE_HOME", ""}, {"HOME", ""}}),
              HasSubstr("  plan cache: without HOME every start plans anew"));
  EXPECT_THAT(doctor({{"CONVOY_CACHE", "/dev/null/plans"}}),
              HasSubstr("  plan cache: new plans cannot be kept in /dev/null/plans"));
}

TEST(DoctorCuda, SurvivesWhatDoesNotWork) {
  EXPECT_THAT(doctor({{"SOFTWARE_GPU_FAIL", "cudaGetDeviceProperties:0:999"}}),
              AllOf(HasSubstr("cannot be found out"), HasSubstr("  GPUs: cudaGetDeviceProperties")));
  EXPECT_THAT(doctor({{"SOFTWARE_GPU_FAIL", "cudaGetDeviceCount:0:35"}}),
              HasSubstr("for CUDA up to 13.0, too old (error 35)"));
}

}  // namespace
}  // namespace convoy::test
