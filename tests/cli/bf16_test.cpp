// --precision bf16 on the CPU, from the first step to a prediction. Skipped where the CPU has no bf16.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CpuBf16Test : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome tried =
        run({"bench", "--device", "cpu", "--precision", "bf16", "--steps", "1"}, {folder_.path()});
    if (tried.code == 0) return;
    ASSERT_THAT(tried.err, HasSubstr("bf16"));
    GTEST_SKIP() << tried.err;
  }

  Outcome run_here(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--device", "cpu", "--precision", "bf16"});
    return run(arguments, {folder_.path()});
  }

  TemporaryFolder folder_;
};

double accuracy_of(const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return json_lines(outcome.out).back()["accuracy"].get<double>();
}

TEST_F(CpuBf16Test, TrainsGoesOnEvaluatesAndSaysSo) {
  write_idx_data(folder_ / "digits");
  const auto train = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train",    "--dataset", "idx",    "--data",       "digits",
                                          "--epochs", "2",         "--json", "--batch-size", "50"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const Outcome fp32 = run(train({"--device", "cpu", "--out", "exact"}), {folder_.path()});
  const Outcome bf16 = run_here(train({"--out", "rounded"}));
  EXPECT_THAT(bf16.out, HasSubstr(", bf16"));
  const double exact = accuracy_of(fp32);
  EXPECT_GE(exact, 0.9) << "guessing gives 0.1";
  // Of 200 images those that rounding by 2^-8 moves over a border of two classes: a few.
  EXPECT_NEAR(accuracy_of(bf16), exact, 0.03);

  // The checkpoint is fp32's: it goes on in either precision, and says the same of the test set in both.
  const std::vector<std::string> eval = {
      "eval", "--checkpoint", "rounded/model.ckpt", "--dataset", "idx", "--data", "digits", "--json"};
  const double here = accuracy_of(run_here(eval));
  EXPECT_EQ(here, accuracy_of(bf16)) << "a checkpoint loses nothing";
  std::vector<std::string> on_fp32 = eval;
  on_fp32.insert(on_fp32.end(), {"--device", "cpu"});
  EXPECT_NEAR(accuracy_of(run(on_fp32, {folder_.path()})), here, 0.03);
  EXPECT_GE(accuracy_of(run_here(train({"--init", "rounded/model.ckpt", "--out", "on"}))), 0.9);
}

TEST_F(CpuBf16Test, BenchSaysWhatThePeakIsOf) {
  const Outcome outcome = run_here({"bench", "--steps", "2", "--batch-size", "10"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr(", bf16 (cpu"), HasSubstr("oneDNN's product of large matrices in bf16")));
}

TEST_F(CpuBf16Test, EveryGradientIsRight) {
  const Outcome outcome = run_here({"gradcheck"});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
}

}  // namespace
}  // namespace convoy::test
