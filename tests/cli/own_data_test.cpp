// Training on data of one's own: folders of pictures, tables, NumPy's arrays.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

constexpr int kFailed = 1, kUsage = 2;

/// A small network for pictures of 8 x 8 pixels.
std::string model_json(int channels, int classes) {
  return fmt::format(R"({{"name": "tiny", "input": [{}, 8, 8], "layers": [
    {{"name": "flatten", "type": "Flatten"}},
    {{"name": "fc", "type": "Linear", "in_features": {}, "out_features": {}}}]}})",
                     channels, 64 * channels, classes);
}

class OwnDataTest : public testing::Test {
 protected:
  /// A picture that is light on the left (a cat) or on the right (a dog), as all of its kind.
  void write_picture(const fs::path& file, bool left, int side, int shade) {
    fs::create_directories((folder_ / file.string()).parent_path());
    Pixels pixels{side, side, 3, {}};
    for (int i = 0; i < side * side; ++i) {
      const bool light = left ? i % side < side / 3 : i % side >= side - side / 3;
      for (int c = 0; c < 3; ++c)
        pixels.values.push_back(static_cast<std::uint8_t>(light ? 200 + shade : 20 + shade));
    }
    write_png(folder_ / file.string(), pixels);
  }

  void write_tree(const std::string& root, int count) {
    for (int i = 0; i < count; ++i) {
      write_picture(fmt::format("{}/cat/{}.png", root, i), true, 8 + i, i);
      write_picture(fmt::format("{}/dog/{}.png", root, i), false, 8 + i, i);
    }
  }

  Outcome convoy(const std::vector<std::string>& arguments) { return run(arguments, here_); }

  Outcome train(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train", "--epochs", "20",    "--batch-size", "4",
                                          "--lr",  "0.01",     "--out", "run"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return convoy(arguments);
  }

  nlohmann::json record() { return nlohmann::json::parse(read_file(folder_ / "run/run.json")); }

  TemporaryFolder folder_;
  Surroundings here_ = {folder_.path()};
};

TEST_F(OwnDataTest, AFolderOfPicturesTrainsAndItsNamesStay) {
  write_tree("pets/train", 8);
  write_tree("pets/test", 2);
  write_file(folder_ / "tiny.json", model_json(3, 2));
  const Outcome trained = train({"--data", "pets", "--model", "tiny.json"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(trained.err, AllOf(HasSubstr("note: 20 pictures of pets made into [3, 8, 8] in")));
  EXPECT_EQ(record()["dataset"], "pictures");
  EXPECT_EQ(record()["preparation"]["classes"], nlohmann::json({"cat", "dog"}));
  EXPECT_EQ(record()["results"]["accuracy"], 1.0);
  EXPECT_THAT(read_file(folder_ / "run/report.html"), AllOf(HasSubstr("cat"), HasSubstr("dog")));

  write_picture("new.png", false, 30, 7);
  const Outcome predicted = convoy({"predict", "--checkpoint", "run/model.ckpt", "new.png"});
  EXPECT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_THAT(predicted.out, AllOf(StartsWith("new.png: dog (scaled as a whole)"), HasSubstr("cat ")));
  const Outcome evaluated = convoy({"eval", "--checkpoint", "run/model.ckpt", "--data", "pets", "--json"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const auto eval = json_lines(evaluated.out).at(0);
  EXPECT_EQ(eval["accuracy"], 1.0);
  EXPECT_EQ(eval["samples"], 4);
  EXPECT_EQ(eval["classes"][1]["name"], "dog");

  fs::rename(folder_ / "pets/test/dog", folder_ / "pets/test/emu");
  fs::rename(folder_ / "pets/train/dog", folder_ / "pets/train/emu");
  const Outcome others = convoy({"eval", "--checkpoint", "run/model.ckpt", "--data", "pets"});
  EXPECT_EQ(others.code, kFailed);
  EXPECT_THAT(others.err, HasSubstr("the folder emu is no class of the model, which knows cat, dog"));
}

TEST_F(OwnDataTest, OneTreeIsSplitAndEvalTakesTheSameImages) {
  write_tree("pets", 10);
  const Outcome unsplit = train({"--data", "pets", "--image-size", "8x8"});
  EXPECT_EQ(unsplit.code, kUsage);
  EXPECT_THAT(unsplit.err, HasSubstr("pets has no test half: name the share"));
  const std::vector<std::string> flags = {"--data",  "pets", "--image-size", "1x8x8",
                                          "--split", "0.3",  "--split-seed", "5"};
  write_file(folder_ / "tiny.json", model_json(1, 2));
  std::vector<std::string> with_model = flags;
  with_model.insert(with_model.end(), {"--model", "tiny.json"});
  const Outcome trained = train(with_model);
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(
      trained.err,
      HasSubstr("note: pets: 6 of 20 images are held out for the test, 0.3 of each class by the seed 5"));
  EXPECT_EQ(record()["train_samples"], 14);
  EXPECT_EQ(record()["split"], 0.3);
  EXPECT_EQ(record()["split_seed"], 5);
  const Outcome evaluated = convoy({"eval", "--checkpoint", "run/model.ckpt", "--data", "pets", "--json"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_EQ(json_lines(evaluated.out).at(0)["samples"], 6);
  EXPECT_NEAR(json_lines(evaluated.out).at(0)["loss"].get<double>(),
              record()["results"]["loss"].get<double>(), 1e-5);

  const Outcome again = convoy({"train", "--config", "run/config.toml", "--out", "again"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_file(folder_ / "again/model.ckpt"), read_file(folder_ / "run/model.ckpt"));
  const Outcome longer = convoy({"train", "--resume", "run", "--epochs", "21", "--allow-changes"});
  ASSERT_EQ(longer.code, 0) << longer.err;
  EXPECT_EQ(record()["epochs"], 21);
}

TEST_F(OwnDataTest, EvalSaysThatTheHeldOutImagesAreOthers) {
  write_tree("pets", 10);
  write_tree("others/train", 2);
  write_tree("others/test", 3);
  write_file(folder_ / "tiny.json", model_json(1, 2));
  ASSERT_EQ(train({"--data", "pets", "--split", "0.3", "--model", "tiny.json", "--limit-test", "4"}).code, 0);
  const auto eval = [&](const std::string& data) {
    return convoy({"eval", "--checkpoint", "run/model.ckpt", "--data", data, "--json"});
  };
  const std::string note = "which may have seen some of them";
  EXPECT_THAT(eval("pets/").err, testing::Not(HasSubstr(note)));
  const Outcome others = eval("others");
  EXPECT_THAT(others.err, testing::Not(HasSubstr(note)));
  EXPECT_EQ(json_lines(others.out).at(0)["samples"], 6) << "these have a test half";
  write_picture("pets/cat/new.png", true, 9, 0);
  const Outcome changed = eval("pets");
  EXPECT_EQ(changed.code, 0) << changed.err;
  EXPECT_THAT(changed.err, HasSubstr("the images held out of pets are not those of the training, " + note));
}

TEST_F(OwnDataTest, CroppedPicturesArePredictedCropped) {
  write_tree("pets", 4);
  write_file(folder_ / "tiny.json", model_json(1, 2));
  ASSERT_EQ(train({"--data", "pets", "--crop", "--split", "0.5", "--model", "tiny.json"}).code, 0);
  EXPECT_EQ(record()["preparation"]["framing"], "crop");
  write_picture("new.png", true, 16, 0);
  EXPECT_THAT(convoy({"predict", "--checkpoint", "run/model.ckpt", "new.png"}).out,
              StartsWith("new.png: cat (cut to its proportions and scaled)"));
}

TEST_F(OwnDataTest, DecodedPicturesAreKeptInTheCacheFolder) {
  write_tree("pets", 4);
  write_file(folder_ / "tiny.json", model_json(3, 2));
  here_.environment = {{"CONVOY_CACHE", (folder_ / "cache").string()}};
  const std::vector<std::string> flags = {"--data",  "pets",      "--split",    "0.5",
                                          "--model", "tiny.json", "--overwrite"};
  const Outcome first = train(flags);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("kept in " + (folder_ / "cache/pictures/pets-").string()));
  const std::string model = read_file(folder_ / "run/model.ckpt");
  const Outcome second = train(flags);
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_THAT(second.err, testing::Not(HasSubstr("made into")));
  EXPECT_EQ(read_file(folder_ / "run/model.ckpt"), model);
}

TEST_F(OwnDataTest, DecodingShowsItsProgress) {
  write_tree("pets", 4);
  write_file(folder_ / "tiny.json", model_json(3, 2));
  const Outcome outcome = run_on_terminal({"train", "--data", "pets", "--split", "0.5", "--model",
                                           "tiny.json", "--epochs", "1", "--batch-size", "4"},
                                          here_);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("8 of 8 pictures decoded"));
}

TEST_F(OwnDataTest, TablesAndArraysAreRecognised) {
  std::string table = "label,pixel0,pixel1,pixel2,pixel3\n", labels;
  for (int i = 0; i < 20; ++i) {
    table += i % 2 == 0 ? "0,0,0,250,250\n" : "1,250,250,0,0\n";
    labels += static_cast<char>(i % 2);
  }
  fs::create_directories(folder_ / "kaggle");
  write_file(folder_ / "kaggle/train.csv", table);
  write_file(folder_ / "two.json", R"({"name": "two", "input": [1, 2, 2], "layers": [
    {"name": "flatten", "type": "Flatten"}, {"name": "fc", "type": "Linear", "in_features": 4, "out_features": 2}]})");
  const Outcome csv = train({"--data", "kaggle", "--split", "0.2", "--model", "two.json", "--overwrite"});
  ASSERT_EQ(csv.code, 0) << csv.err;
  EXPECT_EQ(record()["dataset"], "csv");
  EXPECT_EQ(record()["results"]["accuracy"], 1.0);

  const auto npy = [](const std::string& shape, const std::string& elements) {
    std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }\n";
    return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size()) + '\0' + header + elements;
  };
  fs::create_directories(folder_ / "arrays");
  std::string images;
  for (int i = 0; i < 20; ++i)
    images += i % 2 == 0 ? std::string("\0\0\xfa\xfa", 4) : std::string("\xfa\xfa\0\0", 4);
  for (const char* half : {"train", "test"}) {
    write_file(folder_ / fmt::format("arrays/x_{}.npy", half), npy("(20, 2, 2)", images));
    write_file(folder_ / fmt::format("arrays/y_{}.npy", half), npy("(20,)", labels));
  }
  const Outcome npz = train({"--data", "arrays", "--model", "two.json", "--overwrite"});
  ASSERT_EQ(npz.code, 0) << npz.err;
  EXPECT_EQ(record()["dataset"], "npz");
  EXPECT_EQ(record()["results"]["accuracy"], 1.0);
  EXPECT_EQ(convoy({"eval", "--checkpoint", "run/model.ckpt", "--data", "arrays"}).code, 0);
}

TEST_F(OwnDataTest, IdxThatIsNoKnownSetIsTakenAsIdx) {
  write_idx_data(folder_ / "digits");
  write_file(folder_ / "tiny.json", model_json(1, 12));
  const Outcome outcome = train({"--data", "digits", "--model", "tiny.json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(record()["dataset"], "idx");
  EXPECT_THAT(outcome.err, HasSubstr("note: the model has 12 outputs, the data 10 classes: no image teaches "
                                     "the other 2, which predict lists by their numbers"));
  const Outcome named = convoy({"train", "--dataset", "emnist", "--data", "digits"});
  EXPECT_EQ(named.code, kUsage);
  EXPECT_THAT(named.err, HasSubstr("'emnist' has splits; name one: emnist-balanced"));
}

TEST_F(OwnDataTest, WhatConvoyDataNamesIsRecognisedToo) {
  write_tree("pets/train", 4);
  write_tree("pets/test", 2);
  write_file(folder_ / "tiny.json", model_json(3, 2));
  here_.environment = {{"CONVOY_DATA", "pets"}};
  const Outcome outcome = train({"--model", "tiny.json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(record()["dataset"], "pictures");
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("outputs")));

  here_.environment.clear();
  const Outcome again = convoy({"eval", "--checkpoint", "run/model.ckpt"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("data        pictures, pets (where it was trained)"));
  fs::rename(folder_ / "pets", folder_ / "moved");
  EXPECT_THAT(convoy({"eval", "--checkpoint", "run/model.ckpt"}).err,
              HasSubstr("the data set pictures was not found: no folder is given; its folder may be named by "
                        "--data or CONVOY_DATA"));
}

TEST_F(OwnDataTest, TheSizeOfDataMemoryIsExplained) {
  const Outcome outcome = train({"--data-memory", "-5"});
  EXPECT_EQ(outcome.code, kUsage);
  EXPECT_THAT(outcome.err, HasSubstr("'-5' is not a number of bytes, as 1000000, 512MB or 1.5GB"));
}

TEST_F(OwnDataTest, SummaryKnowsTheImages) {
  write_tree("pets", 2);
  const Outcome outcome = convoy({"train", "--summary", "--data", "pets", "--image-size", "3x32x32",
                                  "--split", "0.5", "--model", "vgg-small"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("[100, 2]"));
}

TEST_F(OwnDataTest, RefusesWhatDoesNotGoTogether) {
  write_idx_data(folder_ / "digits");
  write_tree("pets", 2);
  const auto expect = [&](const std::vector<std::string>& flags, int code, const std::string& reason) {
    const Outcome outcome = train(flags);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(reason));
    EXPECT_FALSE(fs::exists(folder_ / "run"));
  };
  expect({"--dataset", "idx", "--data", "digits", "--image-size", "8x8"}, kUsage,
         "--image-size is for data of one's own; the images of idx are taken as they are");
  expect({"--dataset", "idx", "--data", "digits", "--crop"}, kUsage, "--crop is for pictures");
  expect({"--dataset", "idx", "--data", "digits", "--split", "0.1"}, kUsage,
         "digits has a test half; leave out --split");
  expect({"--dataset", "mnist", "--data", "pets"}, kFailed,
         "is a picture: put those of each class into a folder");
  expect({"--dataset", "pictures"}, kFailed,
         "no folder is given; its folder may be named by --data or CONVOY_DATA");
  for (const char* size : {"8", "0x8", "2x8x8", "8x8x8x8", "8x", "axb", "5000x8"}) {
    expect({"--data", "pets", "--image-size", size}, kUsage, "is no height x width of 1 to 1000");
  }
  for (const char* share : {"0", "1", "-0.1", "x"}) {
    expect({"--data", "pets", "--split", share}, kUsage, "is not a number between 0 and 1");
  }
  write_file(folder_ / "pets/cat/notes.txt", "x");
  expect({"--data", "pets", "--image-size", "8x8", "--split", "0.5"}, kFailed,
         "pets/cat/notes.txt: not a picture that can be read");
  write_file(folder_ / "table.csv", "0,1\n1,2\n");
  expect({"--data", "table.csv", "--split", "0.5", "--crop"}, kUsage,
         "--crop is for pictures; the images of csv are taken as they are");
}

}  // namespace
}  // namespace convoy::test
