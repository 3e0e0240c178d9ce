// convoy fetch, gradcheck, doctor, bench, and the help texts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/fetch.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

TEST(Help, EveryCommandHasExamplesAndExitCodes) {
  const TemporaryFolder folder;
  const Outcome all = run({"--help"}, {folder.path()});
  EXPECT_EQ(all.code, 0);
  for (const char* command : {"train", "eval", "predict", "fetch", "gradcheck", "doctor", "bench", "race"}) {
    EXPECT_THAT(all.out, HasSubstr(command));
    const Outcome outcome = run({command, "--help"}, {folder.path()});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Examples:\n  convoy " + std::string(command)));
    EXPECT_THAT(outcome.out, HasSubstr("Exit codes: 0 done, 1 failed"));
  }
  EXPECT_EQ(run({"--version"}, {folder.path()}).code, 0);
}

TEST(Fetch, IsRefusedInOneLineByABuildWithoutIt) {
  if (can_fetch()) GTEST_SKIP() << "this build has it: configure with -DCONVOY_FETCH=OFF";
  const TemporaryFolder folder;
  const Outcome outcome = run({"fetch", "mnist", "--out", "here"}, {folder.path()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err,
            "convoy: error: this build cannot download (CONVOY_FETCH is off): put the files into here "
            "yourself\n");
}

TEST(Fetch, KeepsWhatIsThereAndComplete) {
  if (!can_fetch()) GTEST_SKIP() << "CONVOY_FETCH is off";
  const auto mnist = real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA does not name a folder with MNIST";
  const TemporaryFolder folder;
  std::filesystem::copy(*mnist, folder / "here");
  const auto before = files_under(folder / "here");
  const Outcome outcome = run({"fetch", "mnist", "--out", "here"}, {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("mnist is complete in here"));
  EXPECT_EQ(files_under(folder / "here"), before);
}

TEST(Gradcheck, PassesOnTheReference) {
  const TemporaryFolder folder;
  const Outcome outcome = run({"gradcheck", "--device", "reference", "--json"}, {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  const auto events = json_lines(outcome.out);
  EXPECT_GE(events.size(), 10u);
  bool differences = false, in_float = false;
  for (const auto& event : events) {
    EXPECT_TRUE(event["ok"].get<bool>()) << event;
    EXPECT_LE(event["error"].get<double>(), event["tolerance"].get<double>());
    differences = differences || event["backend"] == "finite differences";
    in_float = in_float || event["backend"] == "reference";
  }
  EXPECT_TRUE(differences && in_float);
}

TEST(Doctor, TellsWhatIsHereAndWhatIsMissing) {
  const TemporaryFolder folder;
  write_idx_data(folder / "digits");
  const Outcome outcome = run({"doctor"}, {folder.path(), {{"CONVOY_DATA", "digits"}}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* subject : {"compiler", "oneDNN", "ONNX", "cuDNN", "cuBLAS", "GPUs", "MPI", "NCCL",
                              "threads", "reference", "mnist"}) {
    EXPECT_THAT(outcome.out, HasSubstr(subject));
  }
  // Whether it is in the build is what a command says that needs it.
  write_file(folder / "none.onnx", "");
  const bool onnx =
      run({"import", "--onnx", "none.onnx", "--out", "model"}, {folder.path()}).err.find("knows no ONNX") ==
      std::string::npos;
  EXPECT_THAT(outcome.out,
              ContainsRegex(onnx ? "ONNX +here, with protobuf [0-9.]+\n" : "ONNX +not in this build\n"));
  EXPECT_THAT(outcome.out, HasSubstr("digits (from CONVOY_DATA)"));
  EXPECT_THAT(outcome.out, HasSubstr(can_fetch() ? "run: convoy fetch cifar10 --out digits/cifar10"
                                                 : "name its folder in CONVOY_DATA"));
}

std::vector<std::string> types_of_layers(const nlohmann::json& bench) {
  std::vector<std::string> types;
  for (const auto& layer : bench["layers"]) types.push_back(layer["type"]);
  return types;
}

TEST(Bench, TimesAStepAndItsOperations) {
  const TemporaryFolder folder;
  const Outcome outcome = run({"bench", "--device", "cpu", "--no-fuse", "--batch-size", "16", "--steps", "3",
                               "--warmup", "1", "--json"},
                              {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto events = json_lines(outcome.out);
  ASSERT_EQ(events.size(), 1u);
  const auto& bench = events[0];
  EXPECT_EQ(bench["event"], "bench");
  EXPECT_EQ(bench["model"], "convnet");
  EXPECT_EQ(bench["batch_size"], 16);
  for (const char* field : {"ms_per_step_min", "images_per_second", "gflops", "peak_gflops",
                            "peak_gigabytes_per_second", "roofline_ms", "convolutions_ms"}) {
    EXPECT_GT(bench[field].get<double>(), 0.0) << field;
  }
  EXPECT_EQ(bench["steps_per_launch"], 1);
  EXPECT_TRUE(bench["graph"].is_null()) << "a CPU records nothing";
  EXPECT_LE(bench["ms_per_step_min"], bench["ms_per_step_p10"]);
  EXPECT_LE(bench["ms_per_step_p10"], bench["ms_per_step_median"]);
  EXPECT_LE(bench["ms_per_step_median"], bench["ms_per_step_p90"]);
  EXPECT_EQ(bench["passes"].size(), 18u) << "batch, 8 forward, 8 backward, optimizer";
  EXPECT_TRUE(bench["passes"][0]["launches"].is_null());
  EXPECT_EQ(types_of_layers(bench),
            (std::vector<std::string>{"Batch", "Conv2d", "BatchNorm2d+ReLU", "MaxPool2d", "Conv2d",
                                      "BatchNorm2d+ReLU", "MaxPool2d", "Linear", "CrossEntropy", "Adam"}));
}

TEST(Bench, FusesAsAskedAndOnTheCpuWithoutBeingAsked) {
  const TemporaryFolder folder;
  const auto types = [&](std::vector<std::string> flags) {
    std::vector<std::string> arguments = {"bench", "--batch-size", "2", "--steps",
                                          "1",     "--warmup",     "0", "--json"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Outcome outcome = run(arguments, {folder.path()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return types_of_layers(json_lines(outcome.out).at(0));
  };
  using testing::Contains;
  using testing::Not;
  const std::string fused = "BatchNorm2d+ReLU+MaxPool2d";
  EXPECT_THAT(types({"--device", "cpu"}), Contains(fused).Times(2));
  EXPECT_THAT(types({"--device", "cpu", "--no-fuse"}), Not(Contains(fused)));
  EXPECT_THAT(types({"--device", "reference"}), Not(Contains(fused)));
  EXPECT_THAT(types({"--device", "reference", "--fuse"}), Contains(fused).Times(2));
}

TEST(Bench, TakesRealDataToo) {
  const TemporaryFolder folder;
  write_idx_data(folder / "digits");
  const Outcome outcome = run(
      {"bench", "--data", "digits", "--dataset", "idx", "--steps", "8", "--warmup", "0"}, {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* text :
       {"median", "images/s", "% of the peak of", "of roofline", "layer2.0", "Convolutions alone"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
}

}  // namespace
}  // namespace convoy::test
