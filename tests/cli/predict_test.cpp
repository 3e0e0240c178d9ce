// What convoy predict makes of a picture before the model sees it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/digit_pictures.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kSide = 60;

/// Whether a pixel of the test's drawing, which is no mirror image of itself, is ink.
bool is_ink(int y, int x) {
  const bool stem = x >= 20 && x < 26 && y >= 10 && y < 50;
  const bool foot = y >= 44 && y < 50 && x >= 20 && x < 40;
  return stem || foot || (y >= 10 && y < 16 && x >= 20 && x < 32);
}

using Colour = std::vector<std::uint8_t>;

Pixels drawing(const Colour& ink, const Colour& paper) {
  Pixels pixels{kSide, kSide, static_cast<int>(ink.size()), {}};
  for (int i = 0; i < kSide * kSide; ++i) {
    const Colour& colour = is_ink(i / kSide, i % kSide) ? ink : paper;
    pixels.values.insert(pixels.values.end(), colour.begin(), colour.end());
  }
  return pixels;
}

class PredictTest : public testing::Test {
 protected:
  void SetUp() override {
    write_idx_data(folder_ / "digits");
    write_file(folder_ / "tiny.json", tiny_model_json());
    const Outcome trained = run({"train", "--dataset", "idx", "--data", "digits", "--model", "tiny.json",
                                 "--epochs", "1", "--out", "run"},
                                here_);
    ASSERT_EQ(trained.code, 0) << trained.err;
    write_png(folder_ / "plain.png", drawing({0}, {255}));
  }

  Outcome predict(const std::string& file, const std::vector<std::string>& more = {"--framing", "mnist"}) {
    std::vector<std::string> arguments = {"predict", "--checkpoint", "run/model.ckpt", "--json", file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, here_);
  }

  /// The prediction of a picture that can be read.
  nlohmann::json answer(const std::string& file,
                        const std::vector<std::string>& more = {"--framing", "mnist"}) {
    const Outcome outcome = predict(file, more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const auto events = json_lines(outcome.out);
    return events.size() == 1 ? events[0] : nlohmann::json::object();
  }

  /// Ink of two levels is the same input, whatever the levels are.
  void expect_as_plain(const std::string& file) {
    SCOPED_TRACE(file);
    EXPECT_EQ(answer(file)["logits"], answer("plain.png")["logits"]);
  }

  TemporaryFolder folder_;
  Surroundings here_ = {folder_.path()};
};

TEST_F(PredictTest, InkAndPaperMayHaveAnyColours) {
  const auto as = [&](const std::string& name, const Colour& ink, const Colour& paper) {
    write_png(folder_ / name, drawing(ink, paper));
    expect_as_plain(name);
  };
  as("pencil.png", {200}, {220});
  as("chalk.png", {255}, {30});
  as("red on green.png", {140, 0, 0}, {0, 71, 0});  // luma 41.86 and 41.68
  as("yellow on white.png", {255, 255, 0}, {255, 255, 255});
  as("ink on clear.png", {0, 0, 0, 255}, {255, 0, 0, 0});
  as("white on clear.png", {255, 255, 255, 255}, {255, 255, 255, 0});
}

TEST_F(PredictTest, TwelveBitsInSixteenAreNotBlack) {
  std::vector<std::uint16_t> values;
  for (int i = 0; i < kSide * kSide; ++i) values.push_back(is_ink(i / kSide, i % kSide) ? 100 : 4095);
  write_png16(folder_ / "scan.png", kSide, kSide, values);
  expect_as_plain("scan.png");
  // Scaled as a whole it is as light as its 8 bits: 100 of 4095 are 6 of 255.
  write_png(folder_ / "eight.png", drawing({6}, {255}));
  const auto scan = answer("scan.png", {})["probabilities"], eight = answer("eight.png", {})["probabilities"];
  for (const auto& [name, probability] : eight.items()) {
    EXPECT_NEAR(scan[name].get<double>(), probability.get<double>(), 0.02) << name;  // a level of 255 at most
  }
}

TEST_F(PredictTest, EveryOrientationIsTurned) {
  const Pixels upright = drawing({0}, {255});
  for (int orientation = 1; orientation <= 8; ++orientation) {
    write_turned_png(folder_ / "turned.png", upright, orientation);
    expect_as_plain("turned.png");
    write_turned_png(folder_ / "with prefix.png", upright, orientation, std::string("Exif\0\0", 6));
    expect_as_plain("with prefix.png");
    // Of a JPEG the pixels are not the same, so the answers are compared with that of an upright one.
    write_turned_jpeg(folder_ / "upright.jpg", upright, 1);
    write_turned_jpeg(folder_ / "turned.jpg", upright, orientation);
    const auto expected = answer("upright.jpg"), turned = answer("turned.jpg");
    for (const auto& [name, probability] : expected["probabilities"].items()) {
      EXPECT_NEAR(turned["probabilities"][name].get<double>(), probability.get<double>(), 0.02)
          << "orientation " << orientation << ", " << name;
    }
  }
}

TEST_F(PredictTest, DustFramesAndLinesAreLeftOutAndTold) {
  Pixels dusty = drawing({90}, {220});
  for (int x = 0; x < kSide; ++x) dusty.values[static_cast<std::size_t>(kSide + x)] = 0;  // a line across
  dusty.values[55 * kSide + 55] = 0;
  dusty.values[static_cast<std::size_t>(30 * kSide)] = 0;
  write_png(folder_ / "dusty.png", dusty);
  const Outcome told = predict("dusty.png", {"--framing", "mnist", "--verbose"});
  EXPECT_THAT(told.err,
              AllOf(HasSubstr("dusty.png: left out: "), HasSubstr("1 line across it (of 60 pixels)"),
                    HasSubstr("1 part at the border (of 1 pixels)"), HasSubstr("1 part that is small")));
  expect_as_plain("dusty.png");
  EXPECT_THAT(predict("dusty.png").err, testing::IsEmpty());
}

TEST_F(PredictTest, SaysWhyNothingIsSeen) {
  const auto reason = [&](const Pixels& pixels) {
    write_png(folder_ / "nothing.png", pixels);
    const Outcome outcome = predict("nothing.png");
    EXPECT_EQ(outcome.code, 1);
    return outcome.err;
  };
  EXPECT_EQ(reason(drawing({200}, {200})),
            "convoy: error: nothing.png: no digit to be seen, the picture has one colour\n");
  Pixels frame{kSide, kSide, 1, std::vector<std::uint8_t>(kSide * kSide, 255)};
  for (int i = 0; i < kSide; ++i) frame.values[static_cast<std::size_t>(10 * kSide + i)] = 0;
  EXPECT_EQ(reason(frame),
            "convoy: error: nothing.png: no digit to be seen, only 1 line across it (of 60 pixels); "
            "crop it to the digit, or --framing fit takes it whole\n");
}

TEST_F(PredictTest, AStraightOneIsSeenAsItIs) {
  const auto seen = [&](int width, int height, int left, int right, int margin) {
    Pixels bar{width, height, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height), 255)};
    for (int y = margin; y < height - margin; ++y) {
      for (int x = left; x <= right; ++x) bar.values[static_cast<std::size_t>(y * width + x)] = 0;
    }
    write_png(folder_ / "one.png", bar);
    return answer("one.png")["logits"];
  };
  const std::vector<std::string> verbose = {"--framing", "mnist", "--verbose"};
  const auto expected = seen(60, 240, 27, 32, 40), longer = seen(60, 240, 27, 32, 25);
  EXPECT_EQ(seen(8, 160, 1, 6, 0), expected) << "cut out tightly";
  EXPECT_EQ(seen(10, 164, 2, 7, 2), expected) << "cut out with a little paper";
  EXPECT_THAT(predict("one.png", verbose).err, testing::Not(HasSubstr("took")));
  EXPECT_EQ(seen(200, 200, 97, 102, 5), longer);
  EXPECT_THAT(predict("one.png", verbose).err,
              HasSubstr("one.png: took a line across it for the drawing, as nothing else is"));
}

TEST_F(PredictTest, ASmallDrawingIsSeenIfItIsAlone) {
  constexpr int kLarge = 1000;
  Pixels large{kLarge, kLarge, 1, std::vector<std::uint8_t>(kLarge * kLarge, 255)};
  const auto put = [&](int top, int left) {
    for (int i = 0; i < kSide * kSide; ++i) {
      const int y = i / kSide, x = i % kSide;
      if (is_ink(y, x)) large.values[static_cast<std::size_t>((top + y) * kLarge + left + x)] = 0;
    }
  };
  put(700, 120);
  large.values[500 * kLarge + 900] = 0;  // dust
  write_png(folder_ / "large.png", large);
  expect_as_plain("large.png");
  EXPECT_THAT(
      predict("large.png", {"--framing", "mnist", "--verbose"}).err,
      HasSubstr("large.png: took a part of 40 pixels for the drawing, small as it is on 1000 x 1000"));
  put(200, 800);
  write_png(folder_ / "two.png", large);
  EXPECT_THAT(predict("two.png").err,
              HasSubstr("only 3 parts that are small or far off (the longest of 40 pixels); crop it"));
}

TEST_F(PredictTest, ABarBesideTheDrawingIsLeftOut) {
  constexpr int kWide = 180;
  const auto with_bar = [&](int top, int left, int height, int width) {
    Pixels page{kWide, kWide, 1, std::vector<std::uint8_t>(kWide * kWide, 255)};
    for (int y = 0; y < kWide; ++y) {
      for (int x = 0; x < kWide; ++x) {
        const bool bar = y >= top && y < top + height && x >= left && x < left + width;
        const bool ink = y >= 50 && is_ink(y - 50, x - 60);
        if (bar || ink) page.values[static_cast<std::size_t>(y * kWide + x)] = 0;
      }
    }
    write_png(folder_ / "page.png", page);
    expect_as_plain("page.png");
    EXPECT_THAT(predict("page.png", {"--framing", "mnist", "--verbose"}).err, HasSubstr("left out: 1 bar"));
  };
  with_bar(168, 25, 4, 130);
  with_bar(105, 40, 3, 100);  // five pixels under the drawing
  with_bar(20, 25, 4, 130);
  with_bar(25, 165, 130, 4);
}

TEST_F(PredictTest, APictureOfTheModelsSizeIsAsInTraining) {
  const Pixels white{8, 8, 1, std::vector<std::uint8_t>(64, 255)};
  write_png(folder_ / "white.png", white);
  // The data are measured as MNIST's, but that is said of nearly all of them only.
  auto model = nlohmann::json::parse(read_file(folder_ / "run/model.json"));
  model["preparation"]["framing"] = "mnist";
  model["preparation"]["background"] = "dark";
  const auto save = [&](const std::string& dataset) {
    model["preparation"]["dataset"] = dataset;
    write_file(folder_ / "run/model.json", model.dump());
    auto record = nlohmann::json::parse(read_file(folder_ / "run/run.json"));
    record["dataset"] = dataset;
    record["preparation"] = model["preparation"];
    write_file(folder_ / "run/run.json", record.dump());
  };
  save("idx");
  EXPECT_EQ(answer("white.png", {})["prepared"], "as it is");
  EXPECT_EQ(answer("white.png", {"--invert", "yes"})["prepared"], "as it is, inverted");
  save("mnist");
  Pixels dotted = white;
  dotted.values[27] = 0;
  write_png(folder_ / "dotted.png", dotted);
  EXPECT_EQ(answer("dotted.png", {})["prepared"], "as it is, inverted");
  EXPECT_THAT(predict("white.png", {}).err, HasSubstr("nothing to be seen, the picture has one colour"));
}

TEST_F(PredictTest, NamesTheFormatsThatAreNotRead) {
  const auto refused = [&](const std::string& content) {
    write_file(folder_ / "photo.jpg", content);
    return predict("photo.jpg").err;
  };
  using namespace std::string_literals;
  EXPECT_THAT(refused("RIFF\x24\0\0\0WEBPVP8 "s),
              HasSubstr("photo.jpg: the content is WebP, which is not read"));
  EXPECT_THAT(refused("\0\0\0\x18"
                      "ftypheic\0\0\0\0"s),
              HasSubstr("HEIC"));
  EXPECT_THAT(refused("II*\0\x08\0\0\0"s), HasSubstr("TIFF"));
  EXPECT_THAT(refused("%PDF-1.7"s), HasSubstr("PDF"));
  // It ends within its runs, where stb_image's decoder would read on for ever.
  EXPECT_THAT(refused("#?RGBE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 8\n\x02\x02\x00\x08\x88\x40"s),
              HasSubstr("the content is Radiance HDR, which is not read"));
}

TEST_F(PredictTest, FramesAndInvertsAsItIsTold) {
  EXPECT_EQ(answer("plain.png")["prepared"], "framed as MNIST, inverted");
  EXPECT_EQ(answer("plain.png", {})["prepared"], "scaled as a whole");
  EXPECT_EQ(answer("plain.png", {"--invert", "yes"})["prepared"], "scaled as a whole, inverted");
  EXPECT_EQ(answer("plain.png", {"--transpose"})["prepared"], "scaled as a whole, transposed");
  EXPECT_THAT(
      predict("plain.png", {"--framing", "none"}).err,
      HasSubstr("plain.png: is of 60 x 60 pixels where the model takes 8 x 8; --framing fit scales it"));
  const Outcome usage = predict("plain.png", {"--framing", "mnits"});
  EXPECT_EQ(usage.code, 2);
}

TEST_F(PredictTest, SavesWhatTheModelSees) {
  const auto seen = answer("plain.png", {"--framing", "mnist", "--save-input", "seen.png"});
  // The saved picture has the model's size, so it is taken as it is.
  const auto again = answer("seen.png", {});
  EXPECT_EQ(again["prepared"], "as it is");
  EXPECT_EQ(again["logits"], seen["logits"]);
  const Outcome two = predict("plain.png", {"plain.png", "--save-input", "seen.png"});
  EXPECT_EQ(two.code, 2);
  EXPECT_THAT(two.err, HasSubstr("--save-input takes one picture at a time, not 2"));
}

}  // namespace
}  // namespace convoy::test
