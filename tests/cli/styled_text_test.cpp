// Text and tables as a terminal gets them.
#include "apps/convoy/styled_text.h"

#include <gtest/gtest.h>

#include "apps/convoy/terminal.h"

namespace convoy {
namespace {

TEST(Table, ColumnsAreAsWideAsATerminalShowsThem) {
  Table table({"class", "count"});
  table.add({"\u00e9t\u00e9", "1"});
  table.add({"\u732b", "20"});
  table.add({"summer", "3"});
  table.add({style("31") + "red" + style("0"), "4"});
  const std::string red = style("31") + "red" + style("0");
  EXPECT_EQ(table.str(), "class   count\n\u00e9t\u00e9         1\n\u732b         20\nsummer      3\n" + red +
                             "         4\n");
}

TEST(StyledText, HasTheStylesOfThisProgramAlone) {
  EXPECT_EQ(for_terminal("a\t" + style("1;31") + "b" + style("0") + "\n"), "a\t\x1b[1;31mb\x1b[0m\n");
  EXPECT_EQ(for_terminal("\x1b[31m\x1b[2J\r\xc2\x9b\xff\n"), "\\x1b[31m\\x1b[2J\\x0d\\xc2\\x9b\\xff\n");
  EXPECT_EQ(for_terminal(std::string("\0[2J\0", 5)), "\\x00[2J\\x00");
  EXPECT_EQ(for_terminal(std::string("\0[3", 3)), "\\x00[3");
  EXPECT_EQ(for_terminal("\u00e9 \u732b"), "\u00e9 \u732b");
}

}  // namespace
}  // namespace convoy
