// A whole page, of what no built-in data set has: many classes, large images, nothing at all.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "apps/convoy/report/report.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Noise in colour, `side` pixels wide and high, of class 0, 1, 2 and so on.
Dataset coloured(std::size_t count, std::int64_t side, std::int64_t classes) {
  Dataset data{.name = "d", .image = {3, side, side}, .classes = classes};
  std::uint32_t random = 1;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(count) * data.image.count(); ++i) {
    random = random * 1664525u + 1013904223u;
    data.pixels.push_back(static_cast<std::uint8_t>(random >> 24));
  }
  for (std::size_t i = 0; i < count; ++i) {
    data.labels.push_back(static_cast<std::uint8_t>(i % static_cast<std::size_t>(classes)));
  }
  return data;
}

std::vector<std::string> numbered_names(std::int64_t classes) {
  std::vector<std::string> names;
  for (int c = 0; c < classes; ++c) names.push_back(fmt::format("<kind {}>", c));
  return names;
}

/// The page of a run without a log, its classes named by numbers.
std::string page_of(const Json& record, const Dataset& test, const std::vector<double>& logits) {
  const LoggedRun log;
  return report_page({.name = "run",
                      .record = record,
                      .log = log,
                      .test = &test,
                      .logits = &logits,
                      .class_names = numbered_names(test.classes)});
}

TEST(ReportPage, OfAHundredClassesTheMatrixIsAPicture) {
  const Dataset test = coloured(300, 8, 100);
  // All are taken for class 7: 297 of 300 are mistakes.
  std::vector<double> logits(300 * 100, 0.0);
  for (std::size_t i = 0; i < 300; ++i) logits[i * 100 + 7] = 1.0;
  const Json record = Json::object();
  const std::string page = page_of(record, test, logits);
  EXPECT_THAT(page, AllOf(HasSubstr("297 of 300 test images"), HasSubstr("<img class=\"heat\""),
                          HasSubstr("alt=\"Confusion matrix of 100 classes\" width=\"400\" height=\"400\""),
                          HasSubstr("The most frequent confusions"), HasSubstr("&#60;kind 99&#62;"),
                          Not(HasSubstr("<kind")), Not(HasSubstr("<table class=\"confusion\"")),
                          HasSubstr("width=\"112\" height=\"112\"")));
}

TEST(ReportPage, WithoutAMistakeThereIsNoTableOfThem) {
  const Dataset test = coloured(60, 8, 30);
  std::vector<double> logits(60 * 30, 0.0);
  for (std::size_t i = 0; i < 60; ++i) logits[i * 30 + test.labels[i]] = 1.0;
  const Json record = {{"model", "m"}, {"epochs", 1}};
  const std::string page = page_of(record, test, logits);
  EXPECT_THAT(page,
              AllOf(HasSubstr("No image was taken for another class."),
                    Not(HasSubstr("The most frequent confusions")), HasSubstr(", 1 epoch in batches of ")));
}

TEST(ReportPage, IsSmallWhateverTheRunWas) {
  const Dataset test = coloured(30, 500, 2);
  std::vector<double> logits(30 * 2, std::nan(""));
  LoggedRun log;
  for (int i = 0; i < 300000; ++i) {
    const double at = i / 10.0;
    log.step_loss.push_back({at, std::exp(-at)});
    log.learning_rate.push_back({at, 1e-3});
    if (i % 10 == 0) log.epoch_loss.push_back({at, std::exp(-at)});
  }
  const StateDict state = {
      {"conv.weight", {{65, 3, 230, 230}, std::vector<double>(65 * 3 * 230 * 230, 0.5)}}};
  const Json record = Json::object();
  const std::string page = report_page({.name = "run",
                                        .record = record,
                                        .log = log,
                                        .state = &state,
                                        .test = &test,
                                        .logits = &logits,
                                        .class_names = {"a", "b"}});
  EXPECT_LT(page.size(), 6u << 20);  // 24 pictures of noise, which no PNG makes smaller
  EXPECT_THAT(page, AllOf(HasSubstr("15 of 30 test images"), HasSubstr("says <b>a</b> · –<br>"),
                          Not(HasSubstr(">nan")), Not(HasSubstr("-nan"))));
}

TEST(ReportPage, OfNothingSaysWhatIsMissing) {
  for (const char* text :
       {"{}", R"({"model":5,"epochs":"x","config":[1],"versions":null,"results":{"loss":"?"}})"}) {
    const Json record = Json::parse(text);
    const LoggedRun log;
    const std::string page =
        report_page({.name = "a<b", .record = record, .log = log, .failure = "no <memory>"});
    EXPECT_THAT(page, AllOf(HasSubstr("<h1>a&#60;b</h1>"), HasSubstr("did not end: no &#60;memory&#62;."),
                            HasSubstr("The log tells of none"), HasSubstr("was not profiled"),
                            Not(HasSubstr("Mistakes"))));
  }
}

}  // namespace
}  // namespace convoy
