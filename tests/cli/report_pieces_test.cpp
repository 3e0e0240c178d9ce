// The pieces that a report is made of: text, pictures, charts, and what a log tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "apps/convoy/classification.h"
#include "apps/convoy/report/comparison.h"
#include "apps/convoy/report/html.h"
#include "apps/convoy/report/logged_run.h"
#include "apps/convoy/report/pictures.h"
#include "apps/convoy/report/report.h"
#include "apps/convoy/report/svg_chart.h"
#include "engine/data/pictures/picture_file.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pointwise;

std::string base64_of(std::string_view text) {
  return base64({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

TEST(Html, TextCannotBecomeMarkup) {
  EXPECT_EQ(escaped(R"(<b a="1">&'x)"), "&#60;b a=&#34;1&#34;&#62;&#38;&#39;x");
  EXPECT_EQ(escaped("Größe, \xe2\x82\xac, \xf0\x9f\x98\x80"), "Größe, \xe2\x82\xac, \xf0\x9f\x98\x80");
  EXPECT_EQ(escaped("a\x01\x7f\xffz"), R"(a\x01\x7f\xffz)");
  EXPECT_EQ(escaped("\xc0\xed\xa0\x80\xf5"), R"(\xc0\xed\xa0\x80\xf5)") << "no UTF-8";
  EXPECT_EQ(escaped("\xc2\x9b"), R"(\xc2\x9b)") << "the control sequence introducer in one character";
  EXPECT_EQ(escaped("a\xe2\x82"), R"(a\xe2\x82)") << "cut off";
}

// RFC 4648, section 10.
TEST(Html, Base64IsAsItsRfcHasIt) {
  EXPECT_EQ(base64_of(""), "");
  EXPECT_EQ(base64_of("f"), "Zg==");
  EXPECT_EQ(base64_of("fo"), "Zm8=");
  EXPECT_EQ(base64_of("foo"), "Zm9v");
  EXPECT_EQ(base64_of("foob"), "Zm9vYg==");
  EXPECT_EQ(base64_of("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64_of("foobar"), "Zm9vYmFy");
}

TEST(Html, APictureIsAPngOfItsPixels) {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> png = png_of({3, 1, 1, {0, 51, 255}});
  write_file(folder / "p.png", {reinterpret_cast<const char*>(png.data()), png.size()});
  const Picture read = decode_picture(read_picture_bytes(folder / "p.png"));
  ASSERT_EQ(read.width, 3u);
  EXPECT_FLOAT_EQ(read.at(0, 0, 1), 0.2f);
  EXPECT_FLOAT_EQ(read.at(0, 0, 2), 1.0f);
  EXPECT_THAT(image({2, 4, 1, std::vector<std::uint8_t>(8)}, "a \"b\"", 10),
              AllOf(HasSubstr("data:image/png;base64,"), HasSubstr("alt=\"a &#34;b&#34;\""),
                    HasSubstr("width=\"5\" height=\"10\"")));
}

TEST(Html, APageLoadsNothing) {
  const std::string text = page("a <title>", "<p>body</p>");
  EXPECT_THAT(text, AllOf(HasSubstr("<title>a &#60;title&#62;</title>"), HasSubstr("default-src 'none'"),
                          HasSubstr("prefers-color-scheme: dark"), HasSubstr("width=device-width")));
  EXPECT_THAT(text, Not(HasSubstr("http:")));
  EXPECT_THAT(text, Not(HasSubstr("https:")));
  EXPECT_THAT(text, Not(HasSubstr("url(")));
}

TEST(Ticks, AreRoundNumbersAroundTheValues) {
  EXPECT_THAT(ticks(0, 1, 4), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(ticks(97.1, 99.2, 4), ElementsAre(97, 98, 99, 100));
  EXPECT_THAT(ticks(0, 0.001, 4), Pointwise(testing::DoubleNear(1e-12), {0.0, 0.0005, 0.001}));
  EXPECT_THAT(ticks(-3, 4, 4), ElementsAre(-4, -2, 0, 2, 4));
  EXPECT_THAT(log_ticks(0.03, 2.3), Pointwise(DoubleEq(), {0.01, 0.1, 1.0, 10.0}));
  EXPECT_THAT(log_ticks(0.2, 2.3), Pointwise(DoubleEq(), {0.2, 0.5, 1.0, 2.0, 5.0}));
  EXPECT_LT(log_ticks(1e-300, 1e25).size(), 10u);
}

TEST(Thinned, KeepsTheEndsAndThePeaks) {
  std::vector<Point> points;
  for (int i = 0; i < 10000; ++i) points.push_back({1.0 * i, 0.0});
  points[5000].y = 100.0;
  points[7001].y = -5.0;
  const std::vector<Point> few = thinned(points, 400);
  EXPECT_LE(few.size(), 400u);
  EXPECT_EQ(few.front(), points.front());
  EXPECT_EQ(few.back(), points.back());
  EXPECT_THAT(few, AllOf(Contains(points[5000]), Contains(points[7001])));
  EXPECT_TRUE(std::ranges::is_sorted(few, {}, &Point::x));
  EXPECT_EQ(thinned(few, 400), few) << "fewer stay as they are";
  EXPECT_EQ(thinned(points, 2).size(), 2u);
}

TEST(Chart, PointsAreWhereTheirValuesAre) {
  const Chart chart{.title = "Loss & more",
                    .x_label = "epoch",
                    .unit = "",
                    .series = {{.name = "<train>", .points = {{0, 0}, {1, 1}, {2, 0.5}}, .colour = 3}},
                    .from_zero = true,
                    .most = {}};
  const std::string svg = figure_of(chart);
  EXPECT_THAT(svg, HasSubstr(R"(<polyline class="line c3" points="46.0,178.0 198.0,8.0 350.0,93.0"/>)"));
  EXPECT_THAT(svg, HasSubstr(R"(cx="198.0" cy="8.0" r="2.6"><title>&#60;train&#62;: 1, epoch 1</title>)"));
  EXPECT_THAT(svg, HasSubstr(R"(y="97.0" text-anchor="end">0.5</text>)"));
  EXPECT_THAT(svg, HasSubstr("<h3>Loss &#38; more</h3>"));
  EXPECT_THAT(svg, HasSubstr("role=\"img\" aria-label=\"Line chart of Loss &#38; more by epoch. "
                             "&#60;train&#62;: from 0 to 0.5.\""));
}

TEST(Chart, ALogarithmicAxisHasDecadesAtEqualDistances) {
  const std::string svg =
      figure_of({.title = "Loss",
                 .x_label = "epoch",
                 .unit = "",
                 .series = {{.name = "a", .points = {{0, 10}, {1, 1}, {2, 0.1}, {4, 0.01}}}},
                 .logarithmic = true,
                 .most = {}});
  EXPECT_THAT(svg, HasSubstr(R"(points="46.0,8.0 122.0,64.7 198.0,121.3 350.0,178.0")"));
}

TEST(Chart, APercentageEndsWithAHundred) {
  const auto drawn = [](double value) {
    return figure_of({.title = "t",
                      .x_label = "x",
                      .unit = " %",
                      .series = {{.name = "s", .points = {{0, value}}}},
                      .most = 100.0});
  };
  EXPECT_THAT(drawn(93), AllOf(HasSubstr(">100</text>"), Not(HasSubstr(">120</text>"))));
  EXPECT_THAT(drawn(150), HasSubstr(">160</text>")) << "what is no percentage is drawn nevertheless";
}

TEST(Chart, SmallNumbersAreShort) {
  const std::string svg = figure_of({.title = "t",
                                     .x_label = "x",
                                     .unit = "",
                                     .series = {{.name = "s", .points = {{0, 1e-4}, {1, 2e-5}}}},
                                     .from_zero = true,
                                     .most = {}});
  EXPECT_THAT(svg, AllOf(HasSubstr(">5e-5</text>"), HasSubstr(">0.0001</text>"), HasSubstr(">0</text>")));
}

TEST(Chart, SurvivesWhatIsNoNumber) {
  const double nan = std::nan(""), inf = HUGE_VAL;
  const auto drawn = [](std::vector<Point> points, bool logarithmic = false) {
    return figure_of({.title = "t",
                      .x_label = "x",
                      .unit = "",
                      .series = {{.name = "s", .points = std::move(points)}},
                      .logarithmic = logarithmic,
                      .most = {}});
  };
  EXPECT_THAT(drawn({}), HasSubstr("The log tells of none"));
  EXPECT_THAT(drawn({{0, nan}, {inf, 1}}), HasSubstr("The log tells of none"));
  EXPECT_THAT(drawn({{0, 1}, {1, 2}, {2, nan}, {3, 1}, {4, 2}}),
              testing::ContainsRegex("polyline.*\n.*polyline"))
      << "a gap";
  for (const bool logarithmic : {false, true}) {
    for (const std::vector<Point>& points : {std::vector<Point>{{0, 5}},
                                             {{0, 0}, {1, 0}},
                                             {{0, 1e30}, {1, 1e30}},
                                             {{0, -3}, {1, -3}},
                                             {{0, 1e29}, {1, 1e29 * (1 + 1e-15)}}}) {
      EXPECT_THAT(drawn(points, logarithmic),
                  AllOf(HasSubstr("<circle"), Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
    }
  }
}

TEST(LoggedRun, EventsBecomeCurvesByEpoch) {
  LoggedRun run;
  for (
      const char* line :
      {R"({"event":"step","epoch":1,"epochs":2,"step":1,"steps":4,"loss":2.5,"accuracy":0.1,"learning_rate":0.01})",
       R"({"event":"epoch","epoch":1,"epochs":2,"step":4,"steps":4,"loss":1.5,"accuracy":0.5,"learning_rate":0.005})",
       R"({"event":"validation","epoch":1,"step":4,"steps":4,"samples":9,"loss":1.25,"accuracy":0.75})",
       R"({"event":"test","epoch":1,"step":2,"steps":4,"loss":1.75,"accuracy":0.25})",
       R"({"event":"eval","samples":9,"loss":0.5,"accuracy":0.875})",
       R"({"event":"profile","ms_per_step_median":3.5,"layers":[{"name":"fc","type":"Linear","forward_ms":1.5,"backward_ms":2}]})"}) {
    take_line(run, line);
  }
  EXPECT_THAT(run.step_loss, ElementsAre(Point{0.25, 2.5}));
  EXPECT_THAT(run.step_accuracy, ElementsAre(Point{0.25, 10.0}));
  EXPECT_THAT(run.epoch_loss, ElementsAre(Point{1.0, 1.5}));
  EXPECT_THAT(run.epoch_accuracy, ElementsAre(Point{1.0, 50.0}));
  EXPECT_THAT(run.validation_accuracy, ElementsAre(Point{1.0, 75.0}));
  EXPECT_THAT(run.test_accuracy, ElementsAre(Point{0.5, 25.0}, Point{1.0, 87.5}));
  EXPECT_THAT(run.learning_rate, ElementsAre(Point{0.25, 0.01}, Point{1.0, 0.005}));
  ASSERT_EQ(run.layers.size(), 1u);
  EXPECT_EQ(run.layers[0].backward_ms, 2.0);
}

TEST(LoggedRun, PassesOverWhatIsNoEvent) {
  const TemporaryFolder folder;
  const std::string good = R"({"event":"step","epoch":1,"step":1,"steps":4,"loss":2.5,"learning_rate":0.01})";
  write_file(folder / "log", "no json\n[1]\n{\"event\":5}\n" + good + "\n" +
                                 R"({"event":"step","epoch":-1,"step":1,"steps":4,"loss":1})" + "\n" +
                                 R"({"event":"step","epoch":1,"step":1,"steps":0,"loss":1})" + "\n" +
                                 R"({"event":"step","epoch":1,"step":2,"steps":4,"loss":null})" + "\n" +
                                 R"({"event":"step","epoch":1e300,"step":2,"steps":4,"loss":1})" + "\n" +
                                 R"({"event":"profile","layers":[3,{"forward_ms":"x"},null]})" + "\n" +
                                 std::string(2 << 20, 'x') + "\n" + good.substr(0, 40));
  const LoggedRun run = read_log(folder / "log");
  EXPECT_THAT(run.step_loss, ElementsAre(Point{0.25, 2.5}));
  EXPECT_THAT(run.layers, IsEmpty());
  EXPECT_THAT(error_of([&] { read_log(folder / "none"); }), HasSubstr("cannot"));
}

TEST(SurestMistakes, TheSurestComesFirst) {
  const std::vector<double> logits = {0, 1, 5, 0, 0, 9, 3, 0};
  const std::vector<std::uint8_t> labels = {0, 0, 0, 1};
  const std::vector<Mistake> mistakes = surest_mistakes(logits, labels, 2);
  ASSERT_EQ(mistakes.size(), 3u);
  EXPECT_EQ(mistakes[0].sample, 2u);
  EXPECT_EQ(mistakes[0].predicted, 1u);
  EXPECT_NEAR(mistakes[0].probability, 1 / (1 + std::exp(-9.0)), 1e-15);
  EXPECT_EQ(mistakes[1].sample, 3u);
  EXPECT_EQ(mistakes[2].sample, 0u);
  EXPECT_NEAR(mistakes[2].probability + mistakes[2].probability_of_truth, 1.0, 1e-15);
}

TEST(SurestMistakes, WithoutAProbabilityTheyComeFirst) {
  const std::vector<double> logits = {0, 9, std::nan(""), 0, HUGE_VAL, 0};
  const std::vector<Mistake> mistakes = surest_mistakes(logits, std::vector<std::uint8_t>{0, 1, 1}, 2);
  ASSERT_EQ(mistakes.size(), 3u);
  EXPECT_EQ(mistakes[0].sample, 1u);
  EXPECT_TRUE(std::isnan(mistakes[0].probability));
  EXPECT_EQ(mistakes[1].sample, 2u);
  EXPECT_EQ(mistakes[2].sample, 0u);
}

TEST(ReportPictures, LargeOnesAreShrunk) {
  const Picture8 picture{3, 2, 1, {0, 100, 30, 50, 251, 40}};
  EXPECT_EQ(shrunk(picture, 3).values, picture.values);
  const Picture8 small = shrunk(picture, 2);
  EXPECT_EQ(small.width, 2);
  EXPECT_EQ(small.height, 1);
  EXPECT_THAT(small.values, ElementsAre(100, 35));  // 401 / 4, and the mean of the column that is left
  EXPECT_THAT(shrunk({2, 1, 3, {0, 10, 20, 2, 12, 22}}, 1).values, ElementsAre(1, 11, 21));
}

TEST(ReportPictures, FiltersAreOnOneScale) {
  const StateDict state = {{"norm.weight", {{2}, {1, 1}}},
                           {"conv.weight", {{2, 1, 1, 2}, {0.5, -1.0, 0.0, 0.25}}}};
  const std::vector<Picture8> filters = first_filters(state);
  ASSERT_EQ(filters.size(), 2u);
  EXPECT_THAT(filters[0].values, ElementsAre(192, 1));
  EXPECT_THAT(filters[1].values, ElementsAre(128, 160));
  EXPECT_THAT(first_filters({{"fc.weight", {{2, 2}, {1, 2, 3, 4}}}}), IsEmpty());
}

TEST(ReportPictures, ColoursAreInterleaved) {
  Dataset data{.name = "d", .image = {3, 1, 2}, .classes = 1};
  data.pixels = {0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6};
  data.labels = {0, 0};
  EXPECT_THAT(pixels_of(data, 1).values, ElementsAre(1, 3, 5, 2, 4, 6));
}

TEST(Comparison, TellsWhereRunsDiffer) {
  const auto run = [](const char* name, const char* lr, double accuracy) {
    return ComparedRun{
        name,
        name,
        Json::parse(std::string(R"({"config":{"lr":)") + lr +
                    R"(,"seed":1,"swa":null},"results":{"accuracy":)" + std::to_string(accuracy) + "}}"),
        {}};
  };
  std::vector<ComparedRun> runs = {run("a", "0.001", 0.98), run("b", "0.01", 0.5)};
  runs.push_back({"c", "c", Json::parse(R"({"flags":{"--lr":["0.1"]}})"), {}});
  runs[0].log.epoch_loss = {{1, 2}, {2, 1}};
  const std::vector<ComparedValue> options = differing_options(runs);
  ASSERT_EQ(options.size(), 2u);  // swa is "–" where it is null and where it is not there
  EXPECT_EQ(options[0].name, "lr");
  EXPECT_THAT(options[0].values, ElementsAre("0.001", "0.01", "0.1"));
  EXPECT_EQ(options[1].name, "seed");
  const std::vector<ComparedValue> figures = final_figures(runs);
  EXPECT_THAT(figures.front().values, ElementsAre("98.00", "50.00", "–"));
  EXPECT_THAT(figures.back().values, ElementsAre("–", "–", "not finished"));
  EXPECT_THAT(comparison_page(runs),
              AllOf(HasSubstr("<h1>3 runs</h1>"), HasSubstr("<polyline class=\"line c0\"")));
}

}  // namespace
}  // namespace convoy
