// What variables of the environment do to a training on the CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/backend/cpu/cpu.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

class EnvironmentTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!cpu_backend_missing().empty()) GTEST_SKIP() << cpu_backend_missing();
    write_idx_data(folder_ / "digits");
  }

  Outcome train(const std::map<std::string, std::string>& environment) const {
    return run({"train", "--device", "cpu", "--dataset", "idx", "--data", "digits", "--epochs", "1", "--out",
                "run", "--overwrite"},
               {folder_.path(), environment});
  }

  TemporaryFolder folder_;
};

// oneDNN waits for ever for threads that it was promised and does not get.
TEST_F(EnvironmentTest, FewerThreadsThanAskedForAreNoHang) {
  const struct {
    std::map<std::string, std::string> environment;
    const char* told;
  } cases[] = {{{{"OMP_NUM_THREADS", "2"}, {"OMP_THREAD_LIMIT", "1"}}, " 1 of 2 threads,"},
               {{{"OMP_NUM_THREADS", "4"}, {"OMP_THREAD_LIMIT", "2"}}, " 2 of 4 threads,"},
               {{{"OMP_NUM_THREADS", "2"}, {"OMP_MAX_ACTIVE_LEVELS", "0"}}, " 1 of 2 threads,"},
               {{{"OMP_NUM_THREADS", "2"}, {"OMP_DYNAMIC", "true"}}, " 2 threads,"},
               {{{"OMP_NUM_THREADS", "1"}}, " 1 thread,"},
               {{{"OMP_NUM_THREADS", "3,2"}}, " 3 threads,"}};
  for (const auto& [environment, told] : cases) {
    SCOPED_TRACE(testing::PrintToString(environment));
    const Outcome outcome = train(environment);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr(told));
  }
}

TEST_F(EnvironmentTest, AbsurdNumbersOfThreadsAreOneLine) {
  for (const char* number : {"100000", "5000", "3000000000"}) {
    const Outcome outcome = train({{"OMP_NUM_THREADS", number}});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    EXPECT_THAT(outcome.err, testing::ContainsRegex("cpu: [0-9]+ threads were asked for and there are [0-9]+ "
                                                    "processors; set OMP_NUM_THREADS to [0-9]+ or less"));
  }
  const Outcome limited = train({{"OMP_NUM_THREADS", "100000"}, {"OMP_THREAD_LIMIT", "2"}});
  EXPECT_EQ(limited.code, 0) << limited.err;
}

}  // namespace
}  // namespace convoy::test
