// The examples of the library, run on data that they learn within a few steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST_F(ExamplesTest, AMissingFolderIsOneLine) {
  for (const char* program : {MNIST_EXAMPLE, BATCHES_EXAMPLE}) {
    const Outcome outcome = run_example(program, "nowhere");
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("nowhere"));
  }
}

}  // namespace
}  // namespace convoy::test
