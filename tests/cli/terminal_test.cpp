// What differs when a person is watching.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class TerminalTest : public testing::Test {
 protected:
  void SetUp() override { write_idx_data(folder_ / "digits"); }

  Outcome train(std::map<std::string, std::string> environment, std::vector<std::string> more = {},
                unsigned short columns = 80) {
    environment["TERM"] = "xterm";
    std::vector<std::string> arguments = {"train",       "--dataset", "idx",   "--data", "digits",
                                          "--log-every", "1",         "--out", "run"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_on_terminal(arguments, {folder_.path(), environment}, columns);
  }

  TemporaryFolder folder_;
};

TEST_F(TerminalTest, ShowsABarWithSpeedAndTimeLeft) {
  const Outcome outcome = train({});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\r\x1b[K["));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("images/s, [0-9:]+ left"));
  EXPECT_THAT(outcome.out,
              testing::ContainsRegex("% +loss [0-9.]+, acc [0-9.]+ %, lr 0.001, [0-9]+ images/s"));
  EXPECT_THAT(outcome.out, HasSubstr("Epoch [1/5], Step [1/5], Loss: "));
}

TEST_F(TerminalTest, TheBarFitsTheWindow) {
  for (const unsigned short columns : std::initializer_list<unsigned short>{120, 80, 50, 30, 12}) {
    SCOPED_TRACE(columns);
    std::filesystem::remove_all(folder_ / "run");
    const Outcome outcome = train({}, {}, columns);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    std::size_t drawn = 0;
    const std::string begin = "\r\x1b[K";
    for (auto at = outcome.out.find(begin); at != std::string::npos; at = outcome.out.find(begin, at + 1)) {
      const std::string line = outcome.out.substr(at + begin.size());
      const std::size_t length = line.find_first_of("\r\n");
      if (line.find_first_of("[ 0123456789") != 0) continue;  // the bar was erased, a line of text follows
      EXPECT_LT(length, columns) << line.substr(0, length);
      ++drawn;
    }
    EXPECT_GT(drawn, 0u);
  }
}

TEST_F(TerminalTest, NoColorMeansPlainLines) {
  const Outcome outcome = train({{"NO_COLOR", "1"}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(outcome.out, HasSubstr("Test accuracy of the model"));
}

TEST_F(TerminalTest, JsonStaysJson) {
  const Outcome outcome = train({}, {"--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
  EXPECT_GT(json_lines(outcome.out).size(), 5u);
}

}  // namespace
}  // namespace convoy::test
