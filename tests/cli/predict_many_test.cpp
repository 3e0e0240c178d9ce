// convoy predict on many pictures: folders, lists, standard input.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/cli/many_pictures.h"
#include "tests/paths.h"

namespace convoy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(PredictManyTest, AFolderIsSearchedInTheOrderOfNames) {
  put("scans/b.png", 1);
  put("scans/a/9.png", 2);
  put("scans/a/10.PNG", 3);
  put("scans/c/d/e.png", 4);
  put("scans/.hidden/x.png", 5);
  put("scans/._b.png", 6);
  write_file(folder_ / "scans/notes.txt", "no picture");
  write_file(folder_ / "scans/c/Thumbs.db", "neither");
  std::filesystem::create_directory_symlink("..", folder_ / "scans/c/up");
  const Outcome outcome = predict({"--json", "scans"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(files(outcome),
              ElementsAre("scans/a/10.PNG", "scans/a/9.png", "scans/b.png", "scans/c/d/e.png"));
  EXPECT_EQ(outcome.err,
            "convoy: note: scans: 3 of its files are no picture by the ending, such as scans/c/Thumbs.db\n");
  // The answers are those to the files by name.
  const Outcome named =
      predict({"--json", "scans/a/10.PNG", "scans/a/9.png", "scans/b.png", "scans/c/d/e.png"});
  EXPECT_EQ(outcome.out, named.out);
}

TEST_F(PredictManyTest, AFolderWithoutPicturesIsALine) {
  std::filesystem::create_directory(folder_ / "empty");
  const Outcome empty = predict({"empty"});
  EXPECT_EQ(empty.code, 1);
  EXPECT_EQ(empty.err, "convoy: error: empty: there is no picture in this folder\n");
  put("good/a.png", 1);
  const Outcome mixed = predict({"--json", "digits", "good"});
  EXPECT_EQ(mixed.code, 1);
  EXPECT_EQ(mixed.err,
            "convoy: error: digits: there is no picture in this folder, by the endings of its files\n");
  EXPECT_THAT(files(mixed), ElementsAre("good/a.png"));
}

TEST_F(PredictManyTest, BadPicturesAmongManyAreNamedAndTheOthersPredicted) {
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < 130; ++i) {  // two batches
    const std::string name = fmt::format("scans/{:03}.png", i);
    put(name, i);
    if (i % 50 != 7) expected.push_back(name);
  }
  write_file(folder_ / "scans/007.png", "this is no picture");
  write_file(folder_ / "scans/057.png", "");
  std::filesystem::remove(folder_ / "scans/107.png");
  ASSERT_EQ(mkfifo((folder_ / "scans/107.png").c_str(), 0600), 0);
  const Outcome outcome = predict({"--json", "scans"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(files(outcome), expected);
  EXPECT_THAT(lines(outcome.err),
              ElementsAre(StartsWith("convoy: error: scans/007.png: not a picture that can be read"),
                          "convoy: error: scans/057.png: a picture of 0 bytes cannot be read",
                          "convoy: error: cannot read scans/107.png: it is a FIFO, not a regular file"));
  // A picture's answer does not depend on its place in a batch.
  const auto alone = json_lines(predict({"--json", "scans/129.png"}).out).at(0);
  EXPECT_EQ(json_lines(outcome.out).back()["class"], alone["class"]);
  EXPECT_NEAR(json_lines(outcome.out).back()["logits"][3].get<double>(), alone["logits"][3].get<double>(),
              1e-5);
}

TEST_F(PredictManyTest, StandardInputIsAPicture) {
  put("a.png", 3);
  here_.input = folder_ / "a.png";
  auto piped = json_lines(predict({"--json", "-"}).out).at(0);
  EXPECT_EQ(piped["file"], "-");
  piped["file"] = "a.png";
  EXPECT_EQ(piped, json_lines(predict({"--json", "a.png"}).out).at(0));

  Surroundings shell = {folder_.path(), {}, "/bin/sh"};
  std::vector<std::string> words = {"-c", "cat a.png | \"$0\" \"$@\"",
                                    path_of("CONVOY_PROGRAM", "../../convoy")};
  for (const std::string& word : call({"--json", "-"})) words.push_back(word);
  const Outcome pipe = run(words, shell);
  EXPECT_EQ(pipe.code, 0) << pipe.err;
  EXPECT_EQ(json_lines(pipe.out).at(0)["logits"], piped["logits"]);

  here_.input = folder_ / "tiny.json";
  EXPECT_THAT(predict({"-"}).err,
              StartsWith("convoy: error: standard input: not a picture that can be read"));
  here_.input = "/dev/null";
  const Outcome nothing = predict({"-"});
  EXPECT_EQ(nothing.code, 1);
  EXPECT_EQ(nothing.err, "convoy: error: standard input: a picture of 0 bytes cannot be read\n");
  const Outcome twice = predict({"-", "a.png", "-"});
  EXPECT_EQ(twice.code, 2);
  EXPECT_THAT(twice.err, HasSubstr("standard input can be read once"));
}

TEST_F(PredictManyTest, NamesComeFromAFileOrStandardInput) {
  put("a.png", 1);
  put("with space.png", 2);
  put("more/c.png", 3);
  write_file(folder_ / "names", "with space.png\r\n\nmore\n");
  EXPECT_THAT(files(predict({"--json", "a.png", "--files-from", "names"})),
              ElementsAre("a.png", "with space.png", "more/c.png"));
  here_.input = folder_ / "names";
  EXPECT_THAT(files(predict({"--json", "--files-from", "-"})), ElementsAre("with space.png", "more/c.png"));
  const Outcome both = predict({"--json", "-", "--files-from", "-"});
  EXPECT_EQ(both.code, 2);
  write_file(folder_ / "names", "\xef\xbb\xbfwith space.png\r\nnowhere.png\nmore");  // of Windows' editor
  const Outcome missing = predict({"--json", "--files-from", "names"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.err, "convoy: error: cannot read nowhere.png: No such file or directory\n");
  EXPECT_THAT(files(missing), ElementsAre("with space.png", "more/c.png"));
}

TEST_F(PredictManyTest, AListThatIsNoneIsALine) {
  put("a.png", 1);
  write_file(folder_ / "names", "\n");
  const Outcome none = predict({"--files-from", "names"});
  EXPECT_EQ(none.code, 1);
  EXPECT_EQ(none.err, "convoy: error: names: there is no name in this list\n");
  const Outcome picture = predict({"a.png", "--files-from", "a.png"});
  EXPECT_EQ(picture.code, 1);
  EXPECT_EQ(picture.err, "convoy: error: a.png: not a list of names, one a line: it has a byte of 0\n");
  write_file(folder_ / "names", std::string("a.png\0b.png\0", 12));  // as find -print0 writes them
  here_.input = folder_ / "names";
  const Outcome zeros = predict({"--files-from", "-"});
  EXPECT_EQ(zeros.code, 1);
  EXPECT_THAT(zeros.err, StartsWith("convoy: error: standard input: not a list of names, one a line"));
  std::ofstream(folder_ / "long");
  std::filesystem::resize_file(folder_ / "long",
                               (std::uintmax_t{256} << 20) + 1);  // takes no room on the disk
  const Outcome large = predict({"--files-from", "long"});
  EXPECT_EQ(large.code, 1);
  EXPECT_THAT(large.err, StartsWith("convoy: error: long: a list of 268435457 bytes is too long"));
}

TEST_F(PredictManyTest, ClosedStreamsAreNoFiles) {
  put("a.png", 3);
  const auto in_shell = [&](const std::string& closing, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"-c", "\"$0\" \"$@\" " + closing,
                                      path_of("CONVOY_PROGRAM", "../../convoy")};
    for (const std::string& word : call(more)) words.push_back(word);
    return run(words, {folder_.path(), {}, "/bin/sh"});
  };
  const Outcome no_input = in_shell("<&-", {"-"});
  EXPECT_EQ(no_input.code, 1);
  EXPECT_EQ(no_input.err, "convoy: error: standard input: a picture of 0 bytes cannot be read\n");
  in_shell("<&- >&- 2>&-", {"--csv", "out.csv", "a.png"});
  EXPECT_EQ(read_file(folder_ / "out.csv"), predict({"--csv", "-", "a.png"}).out);
}

// Of many pictures no more is kept than of a batch: 2000 of 64 KiB would be 125 MiB.
TEST_F(PredictManyTest, MemoryDoesNotGrowWithThePictures) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps memory that was freed";
#endif
  write_idx_data(folder_ / "large", {.train = 20, .test = 10, .extent = 256});
  write_file(folder_ / "pool.json", R"({"name": "pool", "input": [1, 256, 256], "layers": [
    {"name": "pool", "type": "AvgPool2d", "kernel_size": 64}, {"name": "flatten", "type": "Flatten"},
    {"name": "fc", "type": "Linear", "in_features": 16, "out_features": 10}]})");
  const Outcome trained = run({"train", "--dataset", "idx", "--data", "large", "--model", "pool.json",
                               "--epochs", "1", "--batch-size", "10", "--out", "run", "--overwrite"},
                              here_);
  ASSERT_EQ(trained.code, 0) << trained.err;
  put("a.png", 1);
  // The most that a child of this process has had so far.
  const auto peak_kib = [&](std::size_t count) {
    write_file(folder_ / "names",
               fmt::format("{}\n", fmt::join(std::vector<std::string>(count, "a.png"), "\n")));
    const Outcome outcome = predict({"--csv", "-", "--files-from", "names"});
    EXPECT_EQ(lines(outcome.out).size(), count + 1) << outcome.err;
    struct rusage usage {};
    getrusage(RUSAGE_CHILDREN, &usage);
    return usage.ru_maxrss;
  };
  const auto few = peak_kib(200);
  EXPECT_LT(peak_kib(2000) - few, 40 << 10);
}

}  // namespace
}  // namespace convoy::test
