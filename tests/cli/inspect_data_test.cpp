// convoy inspect of data, and hostile names in what all commands print.
#include <gmock/gmock.h>

#include <string>

#include "tests/cli/inspect_fixture.h"
#include "tests/data/npz_files.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class InspectDataTest : public InspectingTest {};
class HostileNamesTest : public BadInputTest {};

TEST_F(InspectDataTest, NumpysArrays) {
  write_npz(folder_ / "data.npz",
            {{"x_train", npy("'|u1'", "(2, 2, 2)", std::string("\x01\x02\x03\x04\x05\x06\x07\x08"))},
             {"y_train", npy("'<i2'", "(2,)", std::string("\xff\xff\x03\0", 4))},
             {"mask", npy("'|b1'", "(2,)", std::string("\x01\0", 2))}},
            true);
  const auto event = event_of("data.npz");
  EXPECT_EQ(event["kind"], "NumPy's arrays (.npz)");
  EXPECT_EQ(event["arrays"], 3);
  EXPECT_EQ(event["contents"][0], nlohmann::json::parse(R"({"name": "x_train", "type": "uint8",
    "shape": [2, 2, 2], "min": 1.0, "max": 8.0, "mean": 4.5})"));
  EXPECT_EQ(event["contents"][1]["type"], "int16");
  EXPECT_EQ(event["contents"][1]["min"], -1.0);
  EXPECT_EQ(event["contents"][2]["type"], "bool");
  const Outcome text = inspect("data.npz");
  EXPECT_THAT(text.out, testing::ContainsRegex("x_train +\\[2,2,2\\] +uint8 +1 +8 +4.5 +- +-\n"));

  write_file(folder_ / "one.npy", npy("'<f4'", "(1, 1)", std::string("\0\0\xc0\x3f", 4)));
  const auto one = event_of("one.npy");
  EXPECT_EQ(one["kind"], "a NumPy array (.npy)");
  EXPECT_EQ(one["type"], "float32");
  EXPECT_EQ(one["shape"], nlohmann::json({1, 1}));
  EXPECT_EQ(one["mean"], 1.5);
}

TEST_F(InspectDataTest, ElementsThatAreNoNumbersAreCounted) {
  const std::string nan("\0\0\xc0\x7f", 4), infinity("\0\0\x80\xff", 4), one("\0\0\x80\x3f", 4),
      two("\0\0\0\x40", 4);
  write_file(folder_ / "some.npy", npy("'<f4'", "(4,)", nan + one + two + infinity));
  const auto some = event_of("some.npy");
  EXPECT_EQ(some["min"], 1.0);
  EXPECT_EQ(some["max"], 2.0);
  EXPECT_EQ(some["mean"], 1.5);
  EXPECT_EQ(some["nan"], 1);
  EXPECT_EQ(some["infinite"], 1);
  write_npz(folder_ / "none.npz", {{"x", npy("'<f4'", "(2,)", nan + nan)}}, false);
  const auto none = event_of("none.npz")["contents"][0];
  for (const char* key : {"min", "max", "mean"}) EXPECT_TRUE(none[key].is_null()) << key;
  EXPECT_EQ(none["nan"], 2);
  EXPECT_EQ(none["infinite"], 0);
  EXPECT_THAT(inspect("none.npz").out, testing::ContainsRegex("x +\\[2\\] +float32 +- +- +- +2 +0\n"));
  write_file(folder_ / "some.idx", std::string("\0\0\x0d\1\0\0\0\2\x7f\xc0\0\0\x3f\x80\0\0", 16));
  EXPECT_EQ(event_of("some.idx")["nan"], 1);
  EXPECT_EQ(event_of("some.idx")["mean"], 1.0);
}

TEST_F(InspectDataTest, AnArrayThatIsNotReadHidesNoOther) {
  write_npz(folder_ / "data.npz",
            {{"x", npy("'<c8'", "(1,)", "abcdefgh")}, {"y", npy("'|u1'", "(3,)", "abc")}}, false);
  const Outcome outcome = run({"inspect", "--json", "data.npz"}, {folder_.path()});
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_THAT(outcome.err,
              HasSubstr("error: data.npz: x.npy: the array is of type <c8; make it uint8 or float32"));
  const auto event = json_lines(outcome.out).at(0);
  EXPECT_THAT(event["contents"][0]["problem"].get<std::string>(), HasSubstr("<c8"));
  EXPECT_EQ(event["contents"][1]["shape"], nlohmann::json({3}));
}

TEST_F(InspectDataTest, ATable) {
  write_file(folder_ / "t.csv", "label,p0,p1\n1,2,3\n4,5,6\n");
  const auto event = event_of("t.csv");
  EXPECT_EQ(event["kind"], "a table (CSV)");
  EXPECT_EQ(event["rows"], 3);
  EXPECT_EQ(event["columns"], 3);
  EXPECT_EQ(event["first_row"], nlohmann::json({"label", "p0", "p1"}));
  write_file(folder_ / "t.csv", "label,p0,p1\n1,2\n");
  expect_refused({"inspect", "t.csv"}, kFailed, "t.csv: line 2, ");
}

TEST_F(InspectDataTest, OfATableTheFirstFieldsAreKeptAndTheColumnsBounded) {
  constexpr std::size_t kMost = 3 * 1024 * 1024;
  write_file(folder_ / "t.csv", std::string(kMost - 1, ','));
  const auto event = event_of("t.csv");
  EXPECT_EQ(event["columns"], kMost);
  EXPECT_EQ(event["first_row"], nlohmann::json(std::vector<std::string>(8)));
  write_file(folder_ / "t.csv", std::string(kMost, ','));
  expect_refused({"inspect", "t.csv"}, kFailed, "t.csv: line 1, column 3145729: more than 3145728 columns");
}

TEST_F(InspectDataTest, EventsForTensorBoard) {
  const Outcome trained =
      run({"train", "--dataset", "idx", "--data", "digits", "--epochs", "1", "--out", "run", "--tensorboard"},
          {folder_.path()});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string name = "run/tensorboard/" + files_under(folder_ / "run/tensorboard").at(0);
  const auto event = event_of(name);
  EXPECT_EQ(event["kind"], "events for TensorBoard");
  EXPECT_EQ(event["bytes"], std::filesystem::file_size(folder_ / name));
  const std::int64_t records = event["records"];
  EXPECT_GT(records, 2);
  std::filesystem::resize_file(folder_ / name, std::filesystem::file_size(folder_ / name) - 1);
  const Outcome cut = run({"inspect", name}, {folder_.path()});
  EXPECT_EQ(cut.code, kFailed);
  EXPECT_THAT(cut.err, HasSubstr("damaged or cut off behind record " + std::to_string(records - 1)));
}

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
