#include "engine/model/text.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

TEST(Text, QuotesStayOnOneShortLine) {
  EXPECT_EQ(in_quotes("fc"), "'fc'");
  EXPECT_EQ(in_quotes("a\nb\x1b-\xff"), "'a?b?-?'");
  EXPECT_EQ(in_quotes(std::string(64, 'x')), "'" + std::string(64, 'x') + "'");
  EXPECT_EQ(in_quotes(std::string(65, 'x')), "'" + std::string(64, 'x') + "...'");
}

TEST(Text, SuggestsTheNearestKnownWord) {
  const std::vector<std::string> known = {"stride", "strides", "padding"};
  EXPECT_EQ(suggestion("strid", known), "did you mean 'stride'?");
  EXPECT_EQ(suggestion("stridess", known), "did you mean 'strides'?");
  EXPECT_EQ(suggestion("pading", known), "did you mean 'padding'?");
  EXPECT_EQ(suggestion("apdding", known), "did you mean 'padding'?");
  EXPECT_EQ(suggestion("GLUE", {"ReLU"}), "known are ReLU");  // two edits make another word of four letters
  EXPECT_EQ(suggestion("Relu", {"ReLU"}), "did you mean 'ReLU'?");
  EXPECT_EQ(suggestion("dilation", known), "known are stride, strides, padding");
  EXPECT_EQ(suggestion("", known), "known are stride, strides, padding");
  EXPECT_EQ(suggestion(std::string(1'000'000, 's'), known), "known are stride, strides, padding");
}

TEST(Text, LayerNamesAreStateDictPrefixes) {
  for (const char* name : {"fc", "layer1.0", "Res-1.body_2", "0"}) EXPECT_TRUE(is_layer_name(name)) << name;
  for (const char* name : {"", ".", "a.", ".a", "a..b", "a b", "a\"", "\xc3\xa9"}) {
    EXPECT_FALSE(is_layer_name(name)) << name;
  }
  EXPECT_TRUE(is_layer_name(std::string(128, 'x')));
  EXPECT_FALSE(is_layer_name(std::string(129, 'x')));
}

}  // namespace
}  // namespace convoy
