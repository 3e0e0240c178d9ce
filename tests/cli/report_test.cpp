// report.html, compare and --tensorboard, as a user has them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr int kFailed = 1, kUsage = 2;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class ReportTest : public testing::Test {
 protected:
  void SetUp() override {
    write_idx_data(folder_ / "digits");
    write_file(folder_ / "tiny.json", tiny_model_json());
  }

  Outcome train(const std::string& out, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"train",   "--dataset", "idx",      "--data", "digits",
                                          "--model", "tiny.json", "--epochs", "2",      "--log-every",
                                          "1",       "--out",     out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, {folder_.path()});
  }

  Outcome convoy(const std::vector<std::string>& arguments) const { return run(arguments, {folder_.path()}); }

  std::string bytes(const std::string& file) const { return read_file(folder_ / file); }
  bool exists(const std::string& file) const { return std::filesystem::exists(folder_ / file); }

  TemporaryFolder folder_;
};

TEST_F(ReportTest, ShowsWhatTheRunIsAndCameTo) {
  ASSERT_EQ(train("run", {"--validation", "100", "--profile", "1", "--lr", "0.0003"}).code, 0);
  const std::string page = bytes("run/report.html");
  EXPECT_THAT(page, AllOf(HasSubstr("<h1>run</h1>"), HasSubstr("<h3>Loss</h3>"),
                          HasSubstr("<h3>Accuracy, %</h3>"), HasSubstr("<h3>Learning rate</h3>"),
                          HasSubstr("held out"), HasSubstr("Time per layer"), HasSubstr("<code>conv</code>"),
                          HasSubstr("<code>--lr</code></th><td>0.0003</td>"), HasSubstr("All options")));
  EXPECT_EQ(count(page, "<polyline"), 9u);  // loss and accuracy: steps, epochs, held out, test; the rate
  const auto record = nlohmann::json::parse(bytes("run/run.json"));
  EXPECT_THAT(page, HasSubstr(fmt::format("<dt>Test accuracy</dt><dd>{:.2f}<small>",
                                          100.0 * record["results"]["accuracy"].get<double>())));
  EXPECT_EQ(count(page, "alt=\"Filter "), 4u);
}

TEST_F(ReportTest, HasTheTimeOfEachLayerWithoutBeingAsked) {
  const auto times = [&](const std::string& run) {
    const std::string page = bytes(run + "/report.html");
    const auto begin = page.find("<h2 id=\"times\">");
    return page.substr(begin, page.find("</section>", begin) - begin);
  };
  const auto has_times = AllOf(HasSubstr("<code>conv</code>"), HasSubstr("<code>optimizer</code>"),
                               HasSubstr(" ms a step"), Not(HasSubstr("not profiled")));
  ASSERT_EQ(train("run").code, 0);
  EXPECT_THAT(times("run"), has_times);
  EXPECT_THAT(bytes("run/log.jsonl"), Not(HasSubstr("\"profile\""))) << "nobody asked for the event";
  EXPECT_FALSE(exists("run/profile.json"));
  ASSERT_EQ(train("more", {"--swa", "--check-finite", "--save-every", "1", "--epochs", "1"}).code, 0);
  EXPECT_THAT(times("more"), has_times);
  ASSERT_EQ(convoy({"train", "--resume", "run", "--epochs", "3", "--allow-changes"}).code, 0);
  EXPECT_THAT(times("run"), has_times);
  ASSERT_EQ(train("seeds", {"--seeds", "1", "--epochs", "1"}).code, 0);
  EXPECT_THAT(times("seeds/1"), HasSubstr("This training was not profiled"));
}

// Three steps come before the first that is profiled.
TEST_F(ReportTest, AShortEpochHasNoTimesAndFailsNothing) {
  for (const char* images : {"100", "300", "350", "400"}) {
    SCOPED_TRACE(images);
    ASSERT_EQ(train("run", {"--limit-train", images, "--overwrite"}).code, 0);
    EXPECT_EQ(count(bytes("run/report.html"), "This training was not profiled"), images[0] < '4' ? 1u : 0u);
  }
}

// Those that computed it: a figure can be had again with the same ones.
TEST_F(ReportTest, NamesTheVersionsOfTheLibraries) {
  ASSERT_EQ(train("run", {"--device", "cpu"}).code, 0);
  const auto versions = nlohmann::json::parse(bytes("run/run.json"))["versions"];
  const std::string onednn = versions.at("oneDNN");
  EXPECT_THAT(onednn, testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(convoy({"--version"}).out, HasSubstr("oneDNN " + onednn)) << "built and run with the same";
  EXPECT_THAT(bytes("run/report.html"), HasSubstr("<code>oneDNN</code></th><td>" + onednn + "</td>"));
  ASSERT_EQ(train("plain", {"--device", "reference"}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(bytes("plain/run.json"))["versions"].size(), 2u) << "it has no library";
}

TEST_F(ReportTest, MistakesAndConfusionsAreThoseOfEval) {
  ASSERT_EQ(train("run", {"--lr", "0.0003"}).code, 0);
  const std::string page = bytes("run/report.html");
  const auto eval =
      json_lines(convoy({"eval", "--checkpoint", "run/model.ckpt", "--data", "digits", "--json"}).out)[0];
  std::size_t wrong = 0;
  for (std::size_t truth = 0; truth < 10; ++truth) {
    for (std::size_t c = 0; c < 10; ++c) {
      const auto samples = eval["confusion"][truth][c].get<std::size_t>();
      if (truth != c) wrong += samples;
      if (truth == c) {
        EXPECT_THAT(page, HasSubstr(fmt::format("<td class=\"right\">{}</td>", samples)));
      }
    }
  }
  ASSERT_GT(wrong, 0u);
  EXPECT_THAT(page, HasSubstr(fmt::format("<p>{} of 200 test images were taken for another class", wrong)));
  EXPECT_EQ(count(page, "alt=\"Test image "), std::min<std::size_t>(wrong, 24));
}

TEST_F(ReportTest, ChangesNothingOfTheTraining) {
  ASSERT_EQ(train("with").code, 0);
  ASSERT_EQ(train("without", {"--no-report"}).code, 0);
  ASSERT_EQ(train("told", {"--tensorboard"}).code, 0);
  EXPECT_TRUE(exists("with/report.html"));
  EXPECT_FALSE(exists("without/report.html"));
  EXPECT_FALSE(exists("with/tensorboard"));
  const auto results = [&](const char* run) {
    return nlohmann::json::parse(bytes(std::string(run) + "/run.json"))["results"];
  };
  for (const char* other : {"without", "told"}) {
    EXPECT_EQ(bytes("with/model.ckpt"), bytes(std::string(other) + "/model.ckpt"));
    for (const char* figure : {"loss", "accuracy"})
      EXPECT_EQ(results("with")[figure], results(other)[figure]);
  }
}

// Five steps are timed layer by layer for the page, with all that a step may do.
TEST_F(ReportTest, ChangesNothingOfAStepThatDoesMore) {
  std::vector<std::string> flags = {"--ema",        "0.9", "--clip-norm",    "1",      "--muon",
                                    "--shift",      "1",   "--check-finite", "--flip", "random",
                                    "--save-every", "6",   "--overwrite"};
  ASSERT_EQ(train("with", flags).code, 0);
  flags.push_back("--no-report");
  ASSERT_EQ(train("without", flags).code, 0);
  EXPECT_EQ(bytes("with/model.ckpt"), bytes("without/model.ckpt"));
}

// Weights and gradients are read back while averaged weights are kept beside them.
TEST_F(ReportTest, TensorBoardLeavesAveragesAsTheyAre) {
  for (const std::vector<std::string>& averaging :
       {std::vector<std::string>{"--swa", "--bn-batches", "2"}, std::vector<std::string>{"--ema", "0.9"}}) {
    std::vector<std::string> with = averaging, without = averaging;
    with.insert(with.end(), {"--tensorboard", "--validation", "100", "--overwrite"});
    without.insert(without.end(), {"--no-report", "--validation", "100", "--overwrite"});
    ASSERT_EQ(train("with", with).code, 0);
    ASSERT_EQ(train("without", without).code, 0);
    EXPECT_EQ(bytes("with/model.ckpt"), bytes("without/model.ckpt")) << averaging[0];
  }
}

TEST_F(ReportTest, WhatEndsEarlyHasOneToo) {
  const std::vector<std::string> endless = {"train",   "--dataset",   "idx", "--data", "digits", "--epochs",
                                            "1000000", "--log-every", "1",   "--out",  "run"};
  ASSERT_EQ(run_and_signal(endless, {folder_.path()}, "Step [3/5]", SIGINT).code, 128 + SIGINT);
  std::string page = bytes("run/report.html");
  EXPECT_THAT(page,
              AllOf(HasSubstr("This training did not end: interrupted in epoch"), HasSubstr("<polyline"),
                    Not(HasSubstr("Test accuracy</dt>")), Not(HasSubstr("alt=\"Test image"))));
  ASSERT_EQ(convoy({"train", "--resume", "run", "--stop-at", "1", "--allow-changes"}).code, 0);
  page = bytes("run/report.html");
  EXPECT_THAT(page, AllOf(HasSubstr("Test accuracy</dt>"), Not(HasSubstr("did not end"))));
  ASSERT_EQ(train("early", {"--stop-at", "1"}).code, 0);
  EXPECT_THAT(bytes("early/report.html"), HasSubstr("Test accuracy</dt>"));
}

TEST_F(ReportTest, NamesAreNoMarkup) {
  ASSERT_EQ(train("<script>alert(1)</script>&\"", {"--epochs", "1"}).code, 0);
  for (const auto& file : files_under(folder_.path())) {
    if (!file.ends_with("report.html")) continue;
    EXPECT_THAT(bytes(file), AllOf(Not(HasSubstr("<script>")), HasSubstr("&#38;&#34;")));
  }
}

TEST_F(ReportTest, AFailureOfThePageIsANote) {
  ASSERT_EQ(train("run").code, 0);
  std::filesystem::remove(folder_ / "run/report.html");
  std::filesystem::create_directories(folder_ / "run/report.html/in the way");
  const Outcome outcome = convoy({"train", "--resume", "run", "--epochs", "3", "--allow-changes"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("convoy: note: run/report.html is not written: "));
  EXPECT_TRUE(exists("run/model.ckpt"));
}

TEST_F(ReportTest, WhatGoesOnHasNoPageOfItsEarlierEnd) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).code, 0);
  const std::vector<std::string> more = {"train", "--resume", "run", "--epochs", "2", "--allow-changes"};
  std::vector<std::string> without = more;
  without.push_back("--no-report");
  ASSERT_EQ(convoy(without).code, 0);
  EXPECT_FALSE(exists("run/report.html"));
}

TEST_F(ReportTest, EachSeedHasItsOwn) {
  ASSERT_EQ(train("sweep", {"--seeds", "1,2"}).code, 0);
  EXPECT_THAT(bytes("sweep/1/report.html"), HasSubstr(", seed 1. "));
  EXPECT_THAT(bytes("sweep/2/report.html"), HasSubstr(", seed 2. "));
}

TEST_F(ReportTest, ComparesRuns) {
  ASSERT_EQ(train("a").code, 0);
  ASSERT_EQ(train("b", {"--lr", "0.01", "--batch-size", "50"}).code, 0);
  const Outcome outcome = convoy({"compare", "a", "b/", "--html", "page.html"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(ContainsRegex("lr +0.001 +0.01\n"), ContainsRegex("batch-size +100 +50\n"),
                                 ContainsRegex("test accuracy, % +[0-9.]+ +[0-9.]+\n"),
                                 Not(ContainsRegex("\nepochs")), HasSubstr("Wrote page.html")));
  const std::string page = bytes("page.html");
  EXPECT_EQ(count(page, "<polyline class=\"line c0\""), count(page, "<polyline class=\"line c1\""));
  EXPECT_GE(count(page, "<polyline class=\"line c1\""), 3u);
  const auto event = json_lines(convoy({"compare", "a", "b", "--json"}).out)[0];
  EXPECT_EQ(event["event"], "compare");
  EXPECT_EQ(event["runs"][1]["folder"], "b");
  EXPECT_EQ(event["runs"][1]["options"]["lr"], "0.01");
  EXPECT_EQ(event["runs"][0]["results"], nlohmann::json::parse(bytes("a/run.json"))["results"]);
}

TEST_F(ReportTest, WhatCannotBeComparedIsNamed) {
  ASSERT_EQ(train("a", {"--epochs", "1"}).code, 0);
  const auto refused = [&](const std::vector<std::string>& arguments, int code) {
    std::vector<std::string> all = {"compare"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Outcome outcome = convoy(all);
    EXPECT_EQ(outcome.code, code) << outcome.out;
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };
  EXPECT_THAT(refused({"a"}, kUsage), HasSubstr("two runs or more"));
  EXPECT_THAT(refused({"a", "none"}, kFailed), HasSubstr("none is no run's folder"));
  EXPECT_THAT(refused({"a", "digits"}, kFailed), HasSubstr("digits is no run's folder"));
  EXPECT_THAT(refused({"a", "a", "--html", "no/where.html"}, kFailed), HasSubstr("no"));
  write_file(folder_ / "a/log.jsonl", "nonsense\n");
  EXPECT_EQ(convoy({"compare", "a", "a", "--html", "page.html"}).code, 0) << "a log is not needed";
  EXPECT_THAT(bytes("page.html"), HasSubstr("No run has a log with curves"));
}

// As `compare runs/*` beside what import has made, and beside the folder of several seeds.
TEST_F(ReportTest, FoldersWithoutARunAreLeftOutOfAComparison) {
  ASSERT_EQ(train("runs/a", {"--epochs", "1"}).code, 0);
  std::filesystem::copy(folder_ / "runs/a", folder_ / "runs/b", std::filesystem::copy_options::recursive);
  std::filesystem::create_directories(folder_ / "runs/imported");
  std::filesystem::create_directories(folder_ / "runs/seeds");
  std::filesystem::copy(folder_ / "runs/a", folder_ / "runs/seeds/1",
                        std::filesystem::copy_options::recursive);
  const Outcome outcome = convoy({"compare", "runs/a", "runs/b", "runs/imported/", "runs/seeds", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto runs = json_lines(outcome.out).at(0)["runs"];
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[1]["folder"], "runs/b");
  EXPECT_EQ(outcome.err,
            "convoy: note: runs/imported is left out: there is no run.json in it\n"
            "convoy: note: runs/seeds is left out: there is no run.json in it\n");
  EXPECT_EQ(convoy({"compare", "runs/a", "runs/b", "runs/c"}).code, kFailed) << "a name that is none";
  EXPECT_EQ(convoy({"compare", "runs/a", "runs/b", "runs/a/run.json"}).code, kFailed) << "a file";
  write_file(folder_ / "runs/b/run.json", "{");
  EXPECT_EQ(convoy({"compare", "runs/a", "runs/a", "runs/b"}).code, kFailed) << "a run that is damaged";
}

TEST_F(ReportTest, AComparisonReplacesNothingOfARun) {
  ASSERT_EQ(train("a", {"--epochs", "1"}).code, 0);
  for (const char* file : {"run.json", "log.jsonl", "model.ckpt", "report.html"}) {
    const std::string before = bytes(std::string("a/") + file);
    const Outcome outcome = convoy({"compare", "a", "a", "--html", std::string("a/") + file});
    EXPECT_EQ(outcome.code, kUsage);
    EXPECT_EQ(outcome.err, "convoy: error: a/" + std::string(file) + " is for the training in " +
                               (folder_ / "a").string() + "; name another file\n");
    EXPECT_EQ(bytes(std::string("a/") + file), before);
  }
  EXPECT_EQ(convoy({"compare", "a", "a", "--html", "a/compared.html"}).code, 0);
}

TEST_F(ReportTest, AForeignRunCannotWriteToTheTerminal) {
  ASSERT_EQ(train("a", {"--epochs", "1"}).code, 0);
  std::filesystem::copy(folder_ / "a", folder_ / "b\x1b[2J");
  auto record = nlohmann::json::parse(bytes("a/run.json"));
  record["config"]["lr"] = "\x1b]0;title\a\nline";
  write_file(folder_ / "a/run.json", record.dump());
  const Outcome outcome = convoy({"compare", "a", "b\x1b[2J"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\a")), HasSubstr("]0;title")));
}

TEST_F(ReportTest, TensorBoardHasItsEvents) {
  ASSERT_EQ(train("run", {"--tensorboard"}).code, 0);
  std::vector<std::string> files = files_under(folder_ / "run/tensorboard");
  ASSERT_EQ(files.size(), 1u);
  const std::string events = bytes("run/tensorboard/" + files[0]);
  for (const char* tag :
       {"brain.Event:2", "loss/step", "accuracy/epoch", "learning rate", "accuracy/test",
        "weights/conv.weight", "gradients/fc.bias", "filters/00", "mistakes/00 ", "_hparams_/experiment",
        "_hparams_/session_start_info", "_hparams_/session_end_info"}) {
    EXPECT_THAT(events, HasSubstr(tag));
  }
  // What goes on writes a further file, and a training that replaces it none of the old ones.
  ASSERT_EQ(convoy({"train", "--resume", "run", "--epochs", "3", "--allow-changes"}).code, 0);
  EXPECT_EQ(files_under(folder_ / "run/tensorboard").size(), 2u) << "--tensorboard is a flag of the run";
  ASSERT_EQ(train("run", {"--tensorboard", "--overwrite"}).code, 0);
  EXPECT_EQ(files_under(folder_ / "run/tensorboard").size(), 1u);
}

}  // namespace
}  // namespace convoy::test
