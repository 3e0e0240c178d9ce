// The examples of the library, run on data that they learn within a few steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

class ExamplesTest : public testing::Test {
 protected:
  void SetUp() override { write_idx_data(folder_ / "digits", {.train = 1000, .test = 200, .extent = 28}); }

  Outcome run_example(const std::string& program, const std::string& data) {
    return run({data}, {.folder = folder_.path(), .program = program});
  }

  TemporaryFolder folder_;
};

TEST_F(ExamplesTest, MnistTrainsTestsAndWritesACheckpoint) {
  const Outcome outcome = run_example(MNIST_EXAMPLE, "digits");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Test accuracy of the model on the 200 test images: 100.00 %"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "model.ckpt"));
}

TEST_F(ExamplesTest, BatchesTrainsByALoopOfItsOwn) {
  const Outcome outcome = run_example(BATCHES_EXAMPLE, "digits");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Step [600/600], Loss: 0.00"));
  EXPECT_THAT(outcome.out, HasSubstr("200 of 200 test images are right"));
}

TEST_F(ExamplesTest, ACustomModelIsTrainedAndLeftForTheProgram) {
  const Outcome outcome = run_example(CUSTOM_MODEL_EXAMPLE, "digits");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("block2.across"));
  const std::string said = "Test accuracy ";
  const double accuracy = std::stod(outcome.out.substr(outcome.out.find(said) + said.size()));
  EXPECT_GT(accuracy, 95.0);
  const Outcome eval =
      run({"eval", "--checkpoint", "model.ckpt", "--dataset", "idx", "--data", "digits", "--json"},
          {folder_.path()});
  ASSERT_EQ(eval.code, 0) << eval.err;
  EXPECT_NEAR(100 * json_lines(eval.out).at(0)["accuracy"].get<double>(), accuracy, 0.01);
}

TEST_F(ExamplesTest, CustomDataIsLearnt) {
  const Outcome outcome = run({}, {.folder = folder_.path(), .program = CUSTOM_DATA_EXAMPLE});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  double accuracy = 0.0;
  ASSERT_EQ(std::sscanf(outcome.out.c_str(), "Test accuracy %lf %%", &accuracy), 1) << outcome.out;
  EXPECT_GT(accuracy, 95.0);
  EXPECT_THAT(outcome.out, HasSubstr("a disc is taken for a disc\na square is taken for a square\n"));
}

TEST_F(ExamplesTest, AMissingFolderIsOneLine) {
  for (const char* program : {MNIST_EXAMPLE, BATCHES_EXAMPLE, CUSTOM_MODEL_EXAMPLE}) {
    const Outcome outcome = run_example(program, "nowhere");
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("nowhere"));
  }
}

}  // namespace
}  // namespace convoy::test
