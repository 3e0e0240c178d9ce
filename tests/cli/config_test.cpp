// convoy train --config and --print-config, and what a run's folder keeps of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kUsage = 2;

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    write_idx_data(folder_ / "digits");
    write_file(folder_ / "tiny.json", tiny_model_json());
  }

  Outcome train(std::vector<std::string> more) const {
    more.insert(more.begin(), "train");
    return run(more, {folder_.path()});
  }

  /// What a training says of a file with this text: an error of one line.
  std::string refusal(const std::string& text, std::vector<std::string> more = {}) const {
    write_file(folder_ / "f.toml", text);
    more.insert(more.begin(), {"train", "--config", "f.toml", "--print-config"});
    const Outcome outcome = run(more, {folder_.path()});
    EXPECT_EQ(outcome.code, kUsage) << outcome.out;
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    return outcome.err;
  }

  std::string printed(std::vector<std::string> more) const {
    more.emplace_back("--print-config");
    const Outcome outcome = train(more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  }

  std::string bytes(const std::string& file) const { return read_file(folder_ / file); }

  TemporaryFolder folder_;
};

TEST_F(ConfigTest, AFileHasTheFlagsOfTheCommandLine) {
  write_file(
      folder_ / "f.toml",
      "dataset = \"idx\"\ndata = \"digits\"\nmodel = \"tiny.json\"\nepochs = 2\nbatch-size = 50\n"
      "optimizer = \"sgd\"\nlr = 0.05\nmomentum = 0.9\nnesterov = true\nflip = true\nmean = [0.5]\nstd = "
      "0.25\nswa = true\nsave-every = \"1epochs\"\n");
  ASSERT_EQ(train({"--config", "f.toml", "--out", "by_file"}).code, 0);
  ASSERT_EQ(
      train({"--dataset",  "idx",          "--data",       "digits",      "--model", "tiny.json", "--epochs",
             "2",          "--batch-size", "50",           "--optimizer", "sgd",     "--lr",      "0.05",
             "--momentum", "0.9",          "--nesterov",   "--flip",      "--mean",  "0.5",       "--std",
             "0.25",       "--swa",        "--save-every", "1epochs",     "--out",   "by_flags"})
          .code,
      0);
  EXPECT_TRUE(bytes("by_file/model.ckpt") == bytes("by_flags/model.ckpt"));
  const auto record = [&](const char* run) {
    return nlohmann::json::parse(bytes(std::string(run) + "/run.json"));
  };
  EXPECT_EQ(record("by_file")["flags"], record("by_flags")["flags"]);
  EXPECT_EQ(record("by_file")["config"], record("by_flags")["config"]);
  EXPECT_EQ(bytes("by_file/config.toml"), bytes("by_flags/config.toml"));
  const nlohmann::json config = record("by_file")["config"];
  EXPECT_EQ(config["lr"], 0.05);
  EXPECT_EQ(config["model"], "model.json");
  EXPECT_EQ(config["nesterov"], true);
  EXPECT_EQ(config["flip"], "random");
  EXPECT_EQ(record("by_flags")["flip"], "random");
  EXPECT_EQ(record("by_flags")["flags"]["--flip"], nlohmann::json::array({"random"}));
  EXPECT_EQ(config["transpose"], false);
  EXPECT_EQ(config["weight-decay"], nullptr);
  EXPECT_EQ(config["mean"], nlohmann::json::array({0.5}));
}

// The bits of a run that is repeated from its folder, by another path and without what it was begun with.
TEST_F(ConfigTest, ARunIsRepeatedFromItsFolder) {
  ASSERT_EQ(train({"--dataset", "idx", "--data", "digits", "--model", "tiny.json", "--epochs", "2", "--shift",
                   "1", "--seed", "5", "--lr", "3e-3", "--validation", "100", "--no-fuse", "--out", "first"})
                .code,
            0);
  std::filesystem::remove(folder_ / "tiny.json");
  std::filesystem::create_directory(folder_ / "elsewhere");
  const Outcome again =
      run({"train", "--config", "../first/config.toml", "--out", "again"}, {folder_ / "elsewhere"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(bytes("first/model.ckpt") == bytes("elsewhere/again/model.ckpt"));
  EXPECT_EQ(bytes("first/config.toml"), bytes("elsewhere/again/config.toml"));
  EXPECT_EQ(bytes("first/model.json"), bytes("elsewhere/again/model.json"));

  // A flag of the command line counts more, and what it excludes is left out.
  const Outcome other =
      train({"--config", "first/config.toml", "--seed", "6", "--fuse", "--epochs", "1", "--out", "other"});
  ASSERT_EQ(other.code, 0) << other.err;
  const auto config = nlohmann::json::parse(bytes("other/run.json"))["config"];
  EXPECT_EQ(config["seed"], 6);
  EXPECT_EQ(config["fuse"], true);
  EXPECT_EQ(config["epochs"], 1);
  EXPECT_EQ(config["lr"], 0.003);
}

// A training that goes on has the flags of its file, wherever that is then.
TEST_F(ConfigTest, AResumedTrainingNeedsNoFile) {
  write_file(folder_ / "f.toml", "dataset = \"idx\"\ndata = \"digits\"\nmodel = \"tiny.json\"\nepochs = 2\n");
  ASSERT_EQ(train({"--config", "f.toml", "--out", "run"}).code, 0);
  const std::string config = bytes("run/config.toml");
  std::filesystem::remove(folder_ / "f.toml");
  ASSERT_EQ(train({"--resume", "run", "--epochs", "3", "--allow-changes"}).code, 0);
  EXPECT_THAT(config, HasSubstr("\nepochs = 2\n"));
  EXPECT_THAT(bytes("run/config.toml"), HasSubstr("\nepochs = 3\n"));
}

// Names of files need not be UTF-8. A terminal gets no byte that it may obey.
TEST_F(ConfigTest, EachByteOfANameIsPrintedAndReadBack) {
  const std::string data = "caf\xe9 \u00e9";
  const std::string text = printed({"--data", data});
  EXPECT_THAT(text, HasSubstr("\ndata = \"" + (folder_ / data).string() + "\"\n"));
  write_file(folder_ / "p.toml", text);
  EXPECT_EQ(printed({"--config", "p.toml"}), text);
  const Outcome shown = run_on_terminal({"train", "--data", data, "--print-config"}, {folder_.path()});
  EXPECT_EQ(shown.code, 0);
  EXPECT_THAT(shown.out, AllOf(HasSubstr("caf\\xe9 \u00e9"), Not(HasSubstr("\xe9 "))));
}

TEST_F(ConfigTest, WhatIsPrintedIsReadBack) {
  const std::vector<std::string> flags = {"--dataset",
                                          "idx",
                                          "--data",
                                          "digits, #1",
                                          "--no-transpose",
                                          "--mean",
                                          "0.5,0.25",
                                          "--std",
                                          "1,2",
                                          "--device",
                                          "cpu",
                                          "--precision",
                                          "fp32",
                                          "--no-fuse",
                                          "--no-graph",
                                          "--nondeterministic",
                                          "--autotune",
                                          "--plan-cache",
                                          "plans",
                                          "--model",
                                          "it's.json",
                                          "--epochs",
                                          "7",
                                          "--batch-size",
                                          "10",
                                          "--sync-bn",
                                          "--optimizer",
                                          "sgd",
                                          "--lr",
                                          "2e-2",
                                          "--weight-decay",
                                          "0",
                                          "--momentum",
                                          "0.9",
                                          "--nesterov",
                                          "--shift",
                                          "2",
                                          "--flip",
                                          "--seed",
                                          "9223372036854775807",
                                          "--log-every",
                                          "0",
                                          "--check-finite",
                                          "--swa",
                                          "--bn-batches",
                                          "3",
                                          "--save-every",
                                          "2epochs",
                                          "--keep",
                                          "0",
                                          "--validation",
                                          "5",
                                          "--keep-best",
                                          "--init",
                                          "x.ckpt",
                                          "--limit-train",
                                          "20",
                                          "--limit-test",
                                          "10"};
  const std::string text = printed(flags);
  for (const char* line :
       {"data = \"", "digits, #1\"", "mean = [0.5, 0.25]", "fuse = false", "nesterov = true", "lr = 2e-2",
        "seed = 9223372036854775807", "save-every = \"2epochs\"", "optimizer = \"sgd\"",
        "\n# no-plan-cache = \n", "/it's.json\"", "no-transpose = true"}) {
    if (line[0] != '\n' || text.find("no-plan-cache = false") == std::string::npos) {
      EXPECT_THAT(text, HasSubstr(line));
    }
  }
  write_file(folder_ / "deep.toml", text);
  EXPECT_EQ(printed({"--config", "deep.toml"}), text);

  const std::string plain = printed({});
  EXPECT_THAT(plain,
              AllOf(HasSubstr("\nepochs = 5\n"), HasSubstr("\nmodel = \"convnet\"\n"),
                    HasSubstr("\nflip = \"none\"\n"), HasSubstr("\n# momentum = \n"),
                    HasSubstr("\n# fuse = \n"), Not(HasSubstr("\nout ")), Not(HasSubstr("\nconfig "))));
  write_file(folder_ / "plain.toml", plain);
  EXPECT_EQ(printed({"--config", "plain.toml"}), plain);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs")) << "nothing is trained";
}

TEST_F(ConfigTest, WhatIsWrongIsNamedWithFileLineAndKey) {
  EXPECT_EQ(refusal("lr = 0.1\nlearning-rate = 1\n"),
            "convoy: error: f.toml:2: learning-rate: convoy train has no flag --learning-rate\n");
  EXPECT_EQ(refusal("lr = -1\n"), "convoy: error: f.toml:1: lr: --lr: '-1' is not a finite number above 0\n");
  EXPECT_THAT(refusal("optimizer = \"adamax\"\n"),
              HasSubstr("f.toml:1: optimizer: --optimizer: adamax not in {"));
  EXPECT_THAT(refusal("save-every = 5.5\n"),
              HasSubstr("f.toml:1: save-every: --save-every: '5.5' is not a number"));
  EXPECT_EQ(refusal("swa = 1\n"), "convoy: error: f.toml:1: swa: '1' is neither true nor false\n");
  EXPECT_EQ(refusal("flip = 1\n"),
            "convoy: error: f.toml:1: flip: --flip: '1' is neither random nor alternating nor none\n");
  EXPECT_EQ(refusal("epochs = [1, 2]\n"), "convoy: error: f.toml:1: epochs: it has 2 values and takes one\n");
  EXPECT_EQ(refusal("epochs = 1\nepochs = 2\n"), "convoy: error: f.toml:2: epochs is there twice\n");
  EXPECT_EQ(refusal("fuse = true\nno-fuse = true\n"),
            "convoy: error: f.toml:2: no-fuse: f.toml:1: fuse says that already\n");
  EXPECT_EQ(refusal("transpose = true\nno-transpose = true\n"),
            "convoy: error: f.toml:2: no-transpose: it excludes --transpose\n");
  for (const char* of_the_call : {"out", "json", "resume", "config", "print-config", "help"}) {
    EXPECT_EQ(refusal(std::string(of_the_call) + " = \"x\"\n"),
              std::string("convoy: error: f.toml:1: ") + of_the_call +
                  ": it is of one call of the program: give it on the command line\n");
  }
  EXPECT_EQ(refusal("[train]\nlr = 1\n"),
            "convoy: error: f.toml:2: lr: no table [train] of a configuration has that\n");
  EXPECT_EQ(refusal("[recipe]\nlr = 1\n"),
            "convoy: error: f.toml:2: lr: no table [recipe] of a configuration has that\n");
  EXPECT_THAT(refusal("lr = 1\n", {"--recipe", "classic"}), HasSubstr("excludes"));
  EXPECT_THAT(refusal("lr = 1\n", {"--resume", "run"}), HasSubstr("excludes"));

  for (const char* file : {"none.toml", "digits"}) {
    const Outcome outcome = train({"--config", file});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(lines(outcome.err).size(), 1u);
    EXPECT_THAT(outcome.err, HasSubstr(file));
  }
  write_file(folder_ / "large.toml", std::string((1 << 20) + 1, '#'));
  EXPECT_THAT(train({"--config", "large.toml"}).err, HasSubstr("so it is no configuration"));
}

// The flags that belong to an optimizer are not those of another.
TEST_F(ConfigTest, AnotherOptimizerTakesNoneOfTheFilesFlagsForIt) {
  write_file(folder_ / "f.toml",
             "dataset = \"idx\"\ndata = \"digits\"\nepochs = 1\noptimizer = \"sgd\"\nmomentum = 0.9\n");
  EXPECT_EQ(train({"--config", "f.toml", "--optimizer", "adam", "--out", "run"}).code, 0);
  EXPECT_THAT(printed({"--config", "f.toml", "--optimizer", "sgd"}), HasSubstr("\nmomentum = 0.9\n"));
  // Adam is what the file means without saying it.
  write_file(folder_ / "adam.toml", "weight-decay = 0.1\n");
  EXPECT_THAT(printed({"--config", "adam.toml", "--optimizer", "adam"}), HasSubstr("\nweight-decay = 0.1\n"));
}

TEST_F(ConfigTest, AnotherScheduleTakesNoneOfTheFilesFlagsForIt) {
  write_file(folder_ / "f.toml", "schedule = \"one-cycle\"\npct-start = 0.2\ncycle-momentum = false\n");
  EXPECT_THAT(printed({"--config", "f.toml"}), HasSubstr("\ncycle-momentum = false\n"));
  EXPECT_THAT(printed({"--config", "f.toml", "--schedule", "cosine"}),
              AllOf(HasSubstr("\n# pct-start = \n"), HasSubstr("\n# cycle-momentum = \n")));
  write_file(folder_ / "g.toml", "schedule = \"linear\"\nwarmup = \"5\"\nwarmup-factor = 0.1\n");
  EXPECT_THAT(printed({"--config", "g.toml", "--schedule", "one-cycle"}),
              HasSubstr("\n# warmup-factor = \n"));
  EXPECT_THAT(printed({"--config", "g.toml", "--schedule", "cosine"}), HasSubstr("\nwarmup-factor = 0.1\n"));
}

}  // namespace
}  // namespace convoy::test
