// Whole trainings by the program on a real device: the same seed gives the same bits, and MNIST is learnt.
#include <gtest/gtest.h>

#include "engine/backend/cuda/cuda.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

class Device : public testing::Test {
 protected:
  void SetUp() override {
    const std::string why = cuda_backend_missing();
    if (!why.empty()) GTEST_SKIP() << "no GPU to test on: " << why;
  }

  // Returns the object that the program printed last.
  nlohmann::json train(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"train", "--device", "cuda", "--epochs", "1", "--swa", "--json"});
    const Outcome outcome = run(arguments, {folder_.path()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const auto events = json_lines(outcome.out);
    return events.empty() ? nlohmann::json::object() : events.back();
  }

  TemporaryFolder folder_;
};

TEST_F(Device, SameSeedSameBits) {
  write_idx_data(folder_ / "digits", {.train = 120, .test = 20});
  write_file(folder_ / "tiny.json", tiny_model_json());
  const auto trained = [&](const std::string& seed, const std::string& out) {
    train({"--dataset", "idx", "--data", "digits", "--model", "tiny.json", "--batch-size", "10", "--seed",
           seed, "--out", out});
    return read_file(folder_ / out / "model.ckpt");
  };
  const std::string first = trained("1", "first");
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(trained("1", "again"), first);
  EXPECT_NE(trained("2", "other"), first);
}

// Three threads, each with a stream and graphs of its own, that take turns behind every launch.
TEST_F(Device, SeedsThatShareItHaveTheBitsOfTheirSingleRuns) {
  write_idx_data(folder_ / "digits", {.train = 120, .test = 20});
  write_file(folder_ / "tiny.json", tiny_model_json());
  const auto train_with = [&](std::vector<std::string> more) {
    more.insert(more.end(),
                {"--dataset", "idx", "--data", "digits", "--model", "tiny.json", "--batch-size", "10"});
    return train(more);
  };
  const auto all = train_with({"--seeds", "1-4", "--seeds-at-once", "3", "--out", "sweep"});
  EXPECT_EQ(all["event"], "seeds");
  for (const std::string seed : {"1", "2", "3", "4"}) {
    train_with({"--seed", seed, "--out", "single" + seed});
    EXPECT_EQ(read_file(folder_ / "sweep" / seed / "model.ckpt"),
              read_file(folder_ / ("single" + seed) / "model.ckpt"));
  }
}

TEST_F(Device, AnEpochOfMnistReaches97Percent) {
  const auto mnist = real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA does not name MNIST's folder";
  const auto done = train({"--data", mnist->string(), "--out", "out"});
  EXPECT_GE(done.value("accuracy", 0.0), 0.975) << done;
}

}  // namespace
}  // namespace convoy::test
