// The forms in which convoy predict answers: text, JSON, CSV, drawings.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <map>

#include "tests/cli/many_pictures.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class PredictAnswersTest : public PredictManyTest {};

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> result;
  std::size_t begin = 0;
  for (auto at = line.find(','); at != std::string::npos; at = line.find(',', begin)) {
    result.push_back(line.substr(begin, at - begin));
    begin = at + 1;
  }
  result.push_back(line.substr(begin));
  return result;
}

TEST_F(PredictAnswersTest, CsvHasAColumnForEachClass) {
  put("a.png", 1);
  put("b, \"c\".png", 2);
  const Outcome outcome = predict({"--csv", "-", "a.png", "b, \"c\".png"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto table = lines(outcome.out);
  ASSERT_EQ(table.size(), 3u);
  EXPECT_EQ(table[0], "image,prediction,probability,0,1,2,3,4,5,6,7,8,9");
  EXPECT_THAT(table[2], StartsWith("\"b, \"\"c\"\".png\","));
  const auto event = json_lines(predict({"--json", "a.png"}).out).at(0);
  const auto row = fields(table[1]);
  ASSERT_EQ(row.size(), 13u);
  EXPECT_EQ(row[0], "a.png");
  EXPECT_EQ(row[1], event["class"]);
  EXPECT_EQ(row[2], row[3 + std::stoul(row[1])]);
  for (std::size_t c = 0; c < 10; ++c) {
    const double probability = event["probabilities"][std::to_string(c)];
    EXPECT_NEAR(std::stod(row[3 + c]), probability, 1e-7 * probability) << c;
  }
}

// Nothing that is read, nothing of a run, and no picture in the place of a table whose name was forgotten.
TEST_F(PredictAnswersTest, ReplacesNothingThatIsNeeded) {
  put("a.png", 1);
  put("b.png", 2);
  std::filesystem::copy_file(folder_ / "a.png", folder_ / "digit");
  write_file(folder_ / "list", "digit\n");
  std::filesystem::copy_file(folder_ / "run/model.json", folder_ / "own.json");
  std::filesystem::create_symlink("run/model.ckpt", folder_ / "link");
  const std::string run_folder = "for the training in " + (folder_ / "run").string();
  const std::map<std::string, std::string> needed = {{"run/model.ckpt", "the checkpoint itself"},
                                                     {"link", "the checkpoint itself"},
                                                     {"run/model.json", "the model's file"},
                                                     {"own.json", "the model's file"},
                                                     {"run/run.json", run_folder},
                                                     {"run/log.jsonl", run_folder},
                                                     {"list", "the list of the pictures"},
                                                     {"digit", "one of the pictures"}};
  for (const auto& [target, what] : needed) {
    const std::string before = read_file(folder_ / target);
    for (const char* flag : {"--csv", "--save-input"}) {
      const Outcome outcome = predict({"--model", "own.json", flag, target, "--files-from", "list"});
      EXPECT_EQ(outcome.code, 2);
      EXPECT_EQ(outcome.err, "convoy: error: " + target + " is " + what + "; name another file\n");
      EXPECT_EQ(read_file(folder_ / target), before);
    }
  }
  const std::string picture = read_file(folder_ / "a.png");
  const Outcome forgotten = predict({"--csv", "a.png", "b.png"});
  EXPECT_EQ(forgotten.code, 2);
  EXPECT_THAT(forgotten.err,
              HasSubstr("--csv a.png: by its ending that is a picture; name the table before"));
  EXPECT_EQ(read_file(folder_ / "a.png"), picture);
  EXPECT_THAT(predict({"--csv", "x", "--save-input", "./x", "b.png"}).err,
              HasSubstr("x is named for --csv and --save-input"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
}

TEST_F(PredictAnswersTest, CsvIsAFileBesideTheTextAndAppearsWhole) {
  put("a.png", 1);
  write_file(folder_ / "bad.png", "no picture");
  const Outcome outcome = predict({"--csv", "out.csv", "a.png", "bad.png"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, StartsWith("a.png: "));
  EXPECT_EQ(read_file(folder_ / "out.csv"), predict({"--csv", "-", "a.png"}).out);

  write_file(folder_ / "out.csv", "of before");
  const auto before = files_under(folder_.path());
  std::filesystem::remove(folder_ / "run/model.ckpt");
  EXPECT_EQ(predict({"--csv", "out.csv", "a.png"}).code, 1);
  EXPECT_EQ(read_file(folder_ / "out.csv"), "of before");
  EXPECT_EQ(files_under(folder_.path()).size(), before.size() - 1);
  for (const char* other : {"--json", "--show"}) {
    const Outcome usage = predict({"--csv", "-", other, "a.png"});
    EXPECT_EQ(usage.code, 2);
    EXPECT_THAT(usage.err, AllOf(HasSubstr(other), HasSubstr("--csv FILE writes a file")));
  }
}

TEST_F(PredictAnswersTest, WhereNobodyReadsOnNoTableIsLeft) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  for (std::size_t i = 0; i < 101; ++i) put(fmt::format("scans/{:03}.png", i), i);
  const Outcome outcome = run_into("/dev/full", call({"--json", "--csv", "out.csv", "scans"}), here_);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "convoy: error: standard output cannot be written\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out.csv"));
}

// A folder may come from anywhere, and so may the names in it.
TEST_F(PredictAnswersTest, NamesDoNotReachTheTerminal) {
  const std::string name = "scans/a\n\x1b[2J\"b\\.png", broken = "scans/b\nconvoy: note: c\x1b[2J.png",
                    latin = "scans/\xff.png";
  for (const std::string& good : {name, latin}) put(good, 1);
  write_file(folder_ / broken, "no picture");
  const Outcome text = predict({"scans"});
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(lines(text.out), ElementsAre(StartsWith("scans/a\\x0a\\x1b[2J\"b\\.png: "), StartsWith("  "),
                                           StartsWith("scans/\\xff.png: "), StartsWith("  ")));
  EXPECT_EQ(lines(text.err).size(), 1u);
  EXPECT_THAT(text.err, StartsWith("convoy: error: scans/b convoy: note: c\\x1b[2J.png: not a picture"));
  EXPECT_THAT(files(predict({"--json", "scans"})), ElementsAre(name, "scans/\xef\xbf\xbd.png"));
  // The table is for programs: it has the bytes of the names.
  const std::string table = predict({"--csv", "-", "scans"}).out;
  EXPECT_THAT(table, HasSubstr("\n\"scans/a\n\x1b[2J\"\"b\\.png\","));
  EXPECT_THAT(table, HasSubstr("\n" + latin + ","));
}

TEST_F(PredictAnswersTest, ShowsThePictureAndTheBars) {
  put("a.png", 2);
  const auto show = [&](std::map<std::string, std::string> environment, unsigned short columns) {
    environment.try_emplace("TERM", "xterm-256color");
    environment.try_emplace("LC_ALL", "C.UTF-8");
    const Outcome outcome =
        run_on_terminal(call({"--show", "a.png"}), {folder_.path(), environment}, columns);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  };
  const std::string half = "\u2580";
  // The bar is in the fourth column, from the second row to the seventh, and of level 253.
  EXPECT_THAT(show({{"COLORTERM", "truecolor"}}, 80),
              AllOf(HasSubstr("\x1b[38;2;0;0;0;48;2;253;253;253m" + half), HasSubstr("a.png: ")));
  EXPECT_THAT(show({}, 80), HasSubstr("\x1b[38;5;16;48;5;231m" + half));
  for (const auto& plain : std::vector<std::map<std::string, std::string>>{
           {{"NO_COLOR", "1"}}, {{"TERM", "dumb"}}, {{"LC_ALL", "C"}, {"COLORTERM", "truecolor"}}}) {
    const std::string drawn = show(plain, 80);
    EXPECT_THAT(drawn, Not(HasSubstr(half)));
    EXPECT_THAT(drawn, HasSubstr("   =    "));  // black over white
    EXPECT_THAT(drawn, HasSubstr("   @    "));
  }
  for (const unsigned short columns : std::initializer_list<unsigned short>{12, 20, 30, 200}) {
    SCOPED_TRACE(columns);
    for (const std::string& line : lines(show({{"NO_COLOR", "1"}}, columns))) {
      if (line.starts_with("a.png")) continue;
      EXPECT_LE(line.size(), columns) << line;  // with a carriage return
    }
  }
}

TEST_F(PredictAnswersTest, ShowsInAPipeWithoutEscapes) {
  put("a.png", 2);
  const Outcome outcome = predict({"--show", "a.png"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(Not(HasSubstr("\x1b")), HasSubstr("   @    "), HasSubstr(" %\n")));
  EXPECT_THAT(outcome.err, IsEmpty());
  EXPECT_EQ(lines(outcome.out).size(), 12u) << "a title, ten bars beside the picture, an empty line";
}

}  // namespace
}  // namespace convoy::test
