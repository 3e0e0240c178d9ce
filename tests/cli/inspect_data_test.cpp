// Hostile names in what the commands print.
#include <gmock/gmock.h>

#include <string>

#include "tests/cli/bad_input.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class HostileNamesTest : public BadInputTest {};

// Of files, of folders and of what is written.
TEST_F(HostileNamesTest, NoNameReachesTheTerminalUnescaped) {
  ASSERT_NO_FATAL_FAILURE(train());
  const std::string hostile =
                        "m\x1b[2J\x1b[31m\xc2\x9b"
                        "2J",
                    shown = "m\\x1b[2J\\x1b[31m\\xc2\\x9b2J";
  std::filesystem::copy(folder_ / "run", folder_ / hostile, std::filesystem::copy_options::recursive);
  std::filesystem::copy(folder_ / "digits", folder_ / (hostile + "d"));
  const std::string checkpoint = hostile + "/model.ckpt";
  const auto expect_harmless = [&](const std::vector<std::string>& arguments, bool is_shown = true) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Surroundings here{folder_.path(), {{"TERM", "xterm"}, {"CONVOY_PYTHON", "/no/python"}}};
    const Outcome piped = run(arguments, here);
    EXPECT_EQ(piped.code, 0) << piped.err;
    if (is_shown) {
      EXPECT_THAT(piped.out, HasSubstr(shown));
    }
    for (const char* escape : {"\x1b", "\xc2\x9b"})
      EXPECT_THAT(piped.out + piped.err, Not(HasSubstr(escape)));
  };
  expect_harmless({"inspect", checkpoint});
  expect_harmless({"inspect", hostile});
  expect_harmless({"inspect", "--json", checkpoint}, false);
  expect_harmless({"eval", "--checkpoint", checkpoint, "--data", hostile + "d"});
  expect_harmless({"export", "--checkpoint", checkpoint, "--pytorch", hostile + ".pt"});
  expect_harmless(
      {"train", "--dataset", "idx", "--data", hostile + "d", "--epochs", "1", "--out", hostile + "t"});
  expect_harmless({"compare", "run", hostile, "--html", hostile + ".html"});
  const Outcome drawn = run_on_terminal({"inspect", checkpoint}, {folder_.path(), {{"TERM", "xterm"}}});
  EXPECT_THAT(drawn.out, HasSubstr("\x1b[1m" + shown + "/model.ckpt\x1b[0m: "));
}

}  // namespace
}  // namespace convoy::test
