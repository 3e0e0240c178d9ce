// How predictions are written: CSV, and pictures and bars for terminals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "apps/convoy/prediction.h"
#include "apps/convoy/styled_text.h"
#include "apps/convoy/terminal_picture.h"
#include "apps/convoy/text_width.h"
#include "engine/data/pictures/picture_file.h"

namespace convoy {
namespace {

using testing::ElementsAre;

TEST(Csv, QuotesWhatWouldEndAField) {
  EXPECT_EQ(csv_field("plain name.png"), "plain name.png");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"5\""), "\"say \"\"5\"\"\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
  EXPECT_EQ(csv_field("\r"), "\"\r\"");
  EXPECT_EQ(csv_field(""), "");
}

TEST(Csv, HasALineForEachPicture) {
  const std::vector<std::string> classes = {"cat", "dog, wet"};
  const std::vector<double> logits = {0.0, 1.0};
  const Prediction prediction = {"a.png", "as it is", {}, logits, {0.25, 0.75}};
  EXPECT_EQ(csv_header(classes), "image,prediction,probability,cat,\"dog, wet\"\n");
  EXPECT_EQ(csv_line(prediction, classes), "a.png,\"dog, wet\",0.75,0.25,0.75\n");
}

// Names of files and folders may hold anything.
TEST(PredictionText, HasNoControlCharacters) {
  const std::vector<std::string> classes = {"cat", "\x1b[31mdog\n"};
  const std::vector<double> logits = {0.0, 1.0};
  const std::vector<std::uint8_t> white(4, 255);
  const Prediction prediction = {
      "a\n\x1b]0;b\x07\xc2\x9b\xff\x7f \xc3\xa4.png", "as it is", white, logits, {0.25, 0.75}};
  const std::string title =
      "a\\x0a\\x1b]0;b\\x07\\xc2\\x9b\\xff\\x7f \xc3\xa4.png: \\x1b[31mdog\\x0a (as it is)\n";
  EXPECT_EQ(text_of(prediction, classes), title + "  cat 25.0 %  \\x1b[31mdog\\x0a 75.0 %\n");
  const std::string drawing = drawing_of(prediction, classes, {1, 2, 2});
  EXPECT_THAT(drawing, testing::StartsWith(title + "@@  \\x1b[31mdog\\x0a ##"));
  EXPECT_EQ(std::ranges::count(drawing, '\n'), 4) << drawing;
}

TEST(PredictionJson, HasEveryNameThatIsUtf8AsItIs) {
  const std::vector<std::string> classes = {"\"\n", "\x1b\\"};
  const std::vector<double> logits = {0.0, 1.0};
  const Prediction prediction = {"a\n\"b\\\x1b.png", "as it is", {}, logits, {0.25, 0.75}};
  const std::string line = json_of(prediction, classes).dump();
  EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' '; })) << line;
  const Json event = Json::parse(line);
  EXPECT_EQ(event["file"], prediction.file);
  EXPECT_EQ(event["class"], classes[1]);
  EXPECT_EQ(event["probabilities"][classes[0]], 0.25);
}

TEST(PictureNames, AreKnownByTheirEnding) {
  for (const char* name : {"a.png", "b/c.JPG", "d.jpeg", "e.x.Bmp", "f.ppm"})
    EXPECT_TRUE(has_picture_name(name)) << name;
  for (const char* name : {"a", "png", ".png", "a.txt", "a.png.gz", "b.png/c"}) {
    EXPECT_FALSE(has_picture_name(name)) << name;
  }
}

TEST(TerminalPicture, FindsTheNearestOf256Colours) {
  EXPECT_EQ(nearest_of_256(0, 0, 0), 16);
  EXPECT_EQ(nearest_of_256(255, 255, 255), 231);
  EXPECT_EQ(nearest_of_256(255, 0, 0), 196);
  EXPECT_EQ(nearest_of_256(0, 135, 255), 33);
  EXPECT_EQ(nearest_of_256(8, 8, 8), 232);
  EXPECT_EQ(nearest_of_256(118, 118, 118), 243);
  EXPECT_EQ(nearest_of_256(240, 240, 240), 255);  // the grey of 238
}

TEST(TerminalPicture, DrawsTwoRowsInALine) {
  const std::vector<std::uint8_t> grey = {0, 255, 255, 255, 128, 0};  // 3 rows of 2
  EXPECT_THAT(draw_picture(grey, {1, 3, 2}, Palette::ascii, 80), ElementsAre("=@", "+ "));
  EXPECT_THAT(
      draw_picture(grey, {1, 3, 2}, Palette::true_colour, 80),
      ElementsAre(style("38;2;0;0;0;48;2;255;255;255") + "\u2580" +
                      style("38;2;255;255;255;48;2;255;255;255") + "\u2580" + style("0"),
                  style("38;2;128;128;128;49") + "\u2580" + style("38;2;0;0;0;49") + "\u2580" + style("0")));
  const std::vector<std::uint8_t> colours = {255, 0, 0, 255, 0, 0};  // planes of 1 x 2: red and green
  EXPECT_THAT(draw_picture(colours, {3, 1, 2}, Palette::colours256, 80),
              ElementsAre(style("38;5;196;49") + "\u2580" + style("38;5;46;49") + "\u2580" + style("0")));
}

TEST(TerminalPicture, IsScaledIntoTheColumns) {
  const std::vector<std::uint8_t> white(100 * 200, 255);
  const auto wide = draw_picture(white, {1, 100, 200}, Palette::ascii, 80);
  EXPECT_EQ(wide, std::vector<std::string>(16, std::string(64, '@')));
  EXPECT_EQ(draw_picture(white, {1, 100, 200}, Palette::ascii, 10),
            std::vector<std::string>(3, std::string(10, '@')));
}

TEST(TerminalBars, AreAsLongAsTheirProbability) {
  const std::vector<Bar> bars = {{"cat", 0.5}, {"sparrow", 0.0625}, {"dog", 0.0}};
  EXPECT_THAT(draw_bars(bars, Palette::ascii, 32),
              ElementsAre("cat     ########          50.0 %", "sparrow #                  6.2 %",
                          "dog                        0.0 %"));
  EXPECT_THAT(draw_bars(bars, Palette::true_colour, 32),
              ElementsAre("cat     \u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588          50.0 %",
                          "sparrow \u2588                  6.2 %", "dog                        0.0 %"));
  // A long name is cut before the bar goes, and characters of two bytes count as one.
  EXPECT_THAT(draw_bars({{"\u00e4\u00e4\u00e4\u00e4\u00e4", 1.0}}, Palette::ascii, 18),
              ElementsAre("\u00e4\u00e4\u00e4 ###### 100.0 %"));
}

TEST(TerminalText, IsAsWideAsATerminalShowsIt) {
  EXPECT_EQ(text_columns("cat"), 3u);
  EXPECT_EQ(text_columns("\u00e4"), 1u);
  EXPECT_EQ(text_columns("a\u0308"), 1u);           // an accent of its own
  EXPECT_EQ(text_columns("\u732b\U0001f431"), 4u);  // an ideograph and an emoji
  EXPECT_EQ(text_columns("\xff\xc3"), 2u);          // no UTF-8
  EXPECT_EQ(cut_to_columns("\u732b\u732b", 3), "\u732b");
  EXPECT_EQ(cut_to_columns("a\u0308b", 1), "a\u0308");
  EXPECT_EQ(padded("\u732b\u732b", 3), "\u732b ");
  EXPECT_THAT(draw_bars({{"\u732b\u732b\u732b", 1.0}, {"dog", 0.0}}, Palette::ascii, 21),
              ElementsAre("\u732b\u732b\u732b ###### 100.0 %", "dog             0.0 %"));
}

TEST(TerminalPicture, HasBarsBesideItWhereThereIsRoom) {
  const std::vector<std::uint8_t> white(8, 255);
  const std::vector<std::string> classes = {"a", "b"};
  const std::vector<double> probabilities = {0.25, 0.75};
  const Shape image = {1, 2, 4};
  const PictureWithBars shown = {white, image, classes, probabilities};
  EXPECT_EQ(draw(shown, Palette::ascii, 25), "@@@@  b ######    75.0 %\n      a ##        25.0 %\n");
  EXPECT_EQ(draw(shown, Palette::ascii, 19), "@@@@\nb ######    75.0 %\na ##        25.0 %\n");
}

}  // namespace
}  // namespace convoy
