// convoy export, and what it wrote as a checkpoint again.
#include <gmock/gmock.h>

#include "convoy/checkpoint.h"
#include "convoy/safetensors.h"
#include "tests/cli/bad_input.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string without_preparation(const std::string& model) {
  auto json = nlohmann::ordered_json::parse(model);
  EXPECT_EQ(json.erase("preparation"), 1U);
  return json.dump();
}

class ExportTest : public BadInputTest {
 protected:
  Outcome convoy(const std::vector<std::string>& arguments) { return run(arguments, {folder_.path()}); }

  /// What eval says of a checkpoint, without the times.
  nlohmann::json eval(const std::string& checkpoint, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"eval", "--checkpoint", checkpoint, "--data", "digits", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = convoy(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    if (outcome.code != 0) return {};
    nlohmann::json event = json_lines(outcome.out).at(0);
    event.erase("seconds");
    event.erase("images_per_second");
    return event;
  }
};

TEST_F(ExportTest, BothFormatsAreEvaluatedAsTheCheckpoint) {
  ASSERT_NO_FATAL_FAILURE(train());
  std::filesystem::create_directory(folder_ / "out");
  const Outcome outcome = convoy({"export", "--checkpoint", "run/model.ckpt", "--safetensors",
                                  "out/model.safetensors", "--pytorch", "out/model.pt", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto events = json_lines(outcome.out);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0]["event"], "export");
  EXPECT_EQ(events[0]["format"], "safetensors");
  EXPECT_EQ(events[0]["file"], "out/model.safetensors");
  EXPECT_EQ(events[0]["bytes"], std::filesystem::file_size(folder_ / "out/model.safetensors"));
  EXPECT_EQ(events[0]["model"], "convnet");
  EXPECT_EQ(events[0]["tensors"], 16);
  EXPECT_EQ(events[1]["format"], "pytorch");

  EXPECT_EQ(read_file(folder_ / "out/model.pt"), read_file(folder_ / "run/model.ckpt"));
  EXPECT_EQ(load_safetensors(folder_ / "out/model.safetensors").state,
            load_checkpoint(folder_ / "run/model.ckpt"));
  const auto expected = eval("run/model.ckpt");
  EXPECT_EQ(eval("out/model.safetensors"), expected);  // which names data set and model itself
  EXPECT_EQ(eval("out/model.pt", {"--model", "run/model.json", "--dataset", "idx"}), expected);
}

TEST_F(ExportTest, ASafetensorsFileIsReadWhereverACheckpointIs) {
  write_file(folder_ / "tiny.json", tiny_model_json());
  ASSERT_EQ(convoy({"train", "--dataset", "idx", "--data", "digits", "--model", "tiny.json", "--epochs", "1",
                    "--out", "run", "--mean", "0.1", "--std", "0.5"})
                .code,
            0);
  ASSERT_EQ(convoy({"export", "--checkpoint", "run/model.ckpt", "--safetensors", "tiny"}).code, 0);
  EXPECT_EQ(eval("tiny"), eval("run/model.ckpt"));
  const auto metadata = load_safetensors(folder_ / "tiny").metadata;
  EXPECT_EQ(metadata.at("format"), "pt");
  EXPECT_THAT(metadata.at("convoy.model"), HasSubstr("\"framing\""));

  write_png(folder_ / "x.png", {8, 8, 1, std::vector<std::uint8_t>(64, 7)});
  const Outcome seen = convoy({"predict", "--checkpoint", "tiny", "x.png", "--json"});
  ASSERT_EQ(seen.code, 0) << seen.err;
  EXPECT_EQ(seen.out, convoy({"predict", "--checkpoint", "run/model.ckpt", "x.png", "--json"}).out);

  ASSERT_EQ(convoy({"train", "--dataset", "idx", "--data", "digits", "--model", "tiny.json", "--init", "tiny",
                    "--epochs", "1", "--lr", "1e-30", "--out", "tuned"})
                .code,
            0);
  const StateDict tuned = load_checkpoint(folder_ / "tuned/model.ckpt");
  EXPECT_EQ(tuned, load_safetensors(folder_ / "tiny").state) << "so small a rate changes nothing";
  ASSERT_EQ(convoy({"export", "--checkpoint", "tiny", "--pytorch", "back.pt"}).code, 0);
  EXPECT_EQ(read_file(folder_ / "back.pt"), read_file(folder_ / "run/model.ckpt"));
}

TEST_F(ExportTest, SaysWhatItWrote) {
  ASSERT_NO_FATAL_FAILURE(train());
  const Outcome outcome = convoy({"export", "--checkpoint", "run/model.ckpt", "--safetensors", "x"});
  EXPECT_EQ(outcome.out, "x: " + std::to_string(std::filesystem::file_size(folder_ / "x")) +
                             " bytes, 16 tensors of model convnet\n");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(ExportTest, RefusesWhatCannotBe) {
  ASSERT_NO_FATAL_FAILURE(train());
  const std::vector<std::string> of_run = {"export", "--checkpoint", "run/model.ckpt"};
  const auto refused = [&](const std::vector<std::string>& more, int code, const std::string& reason) {
    std::vector<std::string> arguments = of_run;
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refused(arguments, code, reason);
  };
  refused({}, kUsage, "nothing to write: name a file with --safetensors or --pytorch");
  refused({"--pytorch", "run/model.ckpt"}, kUsage, "run/model.ckpt is the checkpoint itself");
  refused({"--pytorch", "x", "--safetensors", "./x"}, kUsage, "is named for two formats");
  refused({"--pytorch", ""}, kUsage, "it is empty");
  refused({"--pytorch", "no/such/folder"}, kFailed, "cannot write no/such/folder");
  refused({"--safetensors", "/dev/full"}, kFailed, "cannot write /dev/full: it is not a regular file");
  refused({"--safetensors", "x", "--model", "resnet9"}, kFailed,
          "is missing; is it the state of another model?");
  expect_refused({"export", "--checkpoint", "digits", "--pytorch", "x"}, kFailed, "it is a folder");
  expect_refused({"export", "--checkpoint", "none", "--pytorch", "x"}, kFailed, "No such file or directory");
}

// Nothing that is read, and nothing of any run; through links, too.
TEST_F(ExportTest, RefusesToWriteOntoWhatIsNeeded) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto put_aside = [&] { std::filesystem::rename(folder_ / "run", folder_ / "other"); };
  put_aside();
  ASSERT_NO_FATAL_FAILURE(train());
  write_file(folder_ / "own.json", read_file(folder_ / "run/model.json"));
  const std::string state = "other/states/" + files_under(folder_ / "other/states").front();
  std::filesystem::create_symlink("other/model.ckpt", folder_ / "link");
  std::filesystem::create_directory_symlink("other/states", folder_ / "folder");
  const std::string within = "folder/" + files_under(folder_ / "other/states").front();
  const auto refused = [&](const std::string& target, const std::string& reason) {
    for (const char* format : {"--safetensors", "--pytorch"}) {
      expect_refused({"export", "--checkpoint", "run/model.ckpt", "--model", "own.json", format, target},
                     kUsage, target + " is " + reason + "; name another file");
    }
  };
  refused("run/model.ckpt", "the checkpoint itself");
  refused("own.json", "the model's file");
  refused("run/model.json", "the model's file");
  const std::string other = "for the training in " + (folder_ / "other").string();
  for (const char* file : {"model.ckpt", "model.json", "run.json", "config.toml", "log.jsonl", "best.ckpt",
                           "previous/model.ckpt", "states/step-00000001.ckpt"}) {
    refused(std::string("other/") + file, other);
  }
  for (const std::string& file : {state, within, std::string("link")}) refused(file, other);
}

TEST_F(ExportTest, ReplacesAnotherFileAndKeepsALink) {
  ASSERT_NO_FATAL_FAILURE(train());
  write_file(folder_ / "model.ckpt", "old");  // of no run
  std::filesystem::create_directory(folder_ / "shelf");
  write_file(folder_ / "shelf/real", "old");
  std::filesystem::create_symlink("shelf/real", folder_ / "link");
  const Outcome outcome = convoy(
      {"export", "--checkpoint", "run/model.ckpt", "--pytorch", "model.ckpt", "--safetensors", "link"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_file(folder_ / "model.ckpt"), read_file(folder_ / "run/model.ckpt"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ / "link"));
  EXPECT_EQ(load_safetensors(folder_ / "shelf/real").state, load_checkpoint(folder_ / "run/model.ckpt"));
  ASSERT_EQ(convoy({"export", "--checkpoint", "run/model.ckpt", "--pytorch", "run/mine.pt"}).code, 0)
      << "what no training writes may lie beside it";
}

// A file says how its images were made only if that was measured.
TEST_F(ExportTest, DoesNotTellAGuess) {
  ASSERT_NO_FATAL_FAILURE(train());
  std::filesystem::copy_file(folder_ / "run/model.ckpt", folder_ / "alone.ckpt");
  write_file(folder_ / "small.json", without_preparation(read_file(folder_ / "run/model.json")));
  const Outcome outcome =
      convoy({"export", "--checkpoint", "alone.ckpt", "--model", "small.json", "--safetensors", "alone"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(
      outcome.err,
      "convoy: note: alone: how the training images were made is not known, so the file does not tell it\n");
  EXPECT_THAT(load_safetensors(folder_ / "alone").metadata.at("convoy.model"), Not(HasSubstr("preparation")));
  ASSERT_EQ(convoy({"export", "--checkpoint", "run/model.ckpt", "--safetensors", "known"}).err, "");
  EXPECT_THAT(load_safetensors(folder_ / "known").metadata.at("convoy.model"), HasSubstr("preparation"));
}

// The run in whose folder a file happens to lie is of another training.
TEST_F(ExportTest, AFilesOwnWordGoesBeforeTheRunsAroundIt) {
  ASSERT_NO_FATAL_FAILURE(train());
  ASSERT_EQ(convoy({"export", "--checkpoint", "run/model.ckpt", "--safetensors", "x"}).code, 0);
  const auto expected = eval("x");
  EXPECT_EQ(expected["dataset"], "idx");
  std::filesystem::create_directory(folder_ / "elsewhere");
  std::filesystem::rename(folder_ / "x", folder_ / "elsewhere/x");
  write_file(folder_ / "elsewhere/run.json", R"({"dataset": "cifar10", "model": "resnet9"})");
  EXPECT_EQ(eval("elsewhere/x"), expected);
  write_file(folder_ / "elsewhere/run.json", "no JSON");
  EXPECT_EQ(eval("elsewhere/x"), expected);
}

TEST_F(ExportTest, DamagedSafetensorsAreOneLine) {
  ASSERT_NO_FATAL_FAILURE(train());
  ASSERT_EQ(convoy({"export", "--checkpoint", "run/model.ckpt", "--safetensors", "x"}).code, 0);
  const std::string whole = read_file(folder_ / "x");
  write_file(folder_ / "x", whole.substr(0, whole.size() - 1));
  expect_refused({"eval", "--checkpoint", "x", "--data", "digits"}, kFailed,
                 "cannot load checkpoint x: it is truncated");
  SafetensorsMetadata metadata = {{"convoy.model", "{\"name\": 1}"}};
  save_safetensors(load_checkpoint(folder_ / "run/model.ckpt"), folder_ / "x", metadata);
  expect_refused({"eval", "--checkpoint", "x", "--data", "digits"}, kUsage, "x: 'convoy.model'");
}

}  // namespace
}  // namespace convoy::test
