// convoy export, and what it wrote as a checkpoint again.
#include <gmock/gmock.h>

#include "convoy/checkpoint.h"
#include "convoy/safetensors.h"
#include "tests/cli/bad_input.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

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
