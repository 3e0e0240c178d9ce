#include "engine/io/quote.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

using namespace std::string_literals;

TEST(Quote, EscapesWhatCouldBreakALine) {
  EXPECT_EQ(quote("layer1.0.weight"), "\"layer1.0.weight\"");
  EXPECT_EQ(quote("a\n\"b\\\x1b\x7f\xc3\0"s), R"("a\x0a\x22b\x5c\x1b\x7f\xc3\x00")");
  EXPECT_EQ(quote(std::string(81, 'a')), "\"" + std::string(80, 'a') + "...\"");
}

TEST(TensorName, IsUtf8WithoutControlCharacters) {
  for (const char* name : {"", "layer1.0.weight", "with space", "gr\xc3\xbc\xc3\x9f", "\xc2\xa0",
                           "\xe2\x82\xac", "\xf0\x9f\x9a\x9a", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_tensor_name(name)) << name;
  }
  for (const auto& name : {"a\nb"s, "\0"s, "\x7f"s, "\x1b[2J"s, "\xc2\x9b"s,   // control characters
                           "\x80"s, "\xff"s, "\xf8\x88\x80\x80\x80"s,          // no lead bytes
                           "\xc3"s, "\xe2\x82"s, "\xc3("s, "\xe2\x82("s,       // cut short
                           "\xc1\xa1"s, "\xe0\x81\xa1"s, "\xf0\x80\x81\xa1"s,  // longer than need be
                           "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s}) {            // no characters
    EXPECT_FALSE(is_tensor_name(name)) << quote(name);
  }
  EXPECT_TRUE(is_tensor_name(std::string(65536, 'a')));
  EXPECT_FALSE(is_tensor_name(std::string(65537, 'a')));
}

}  // namespace
}  // namespace convoy
