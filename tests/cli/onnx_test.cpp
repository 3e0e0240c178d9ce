// export --onnx and import --onnx, as their users run them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>

#include "convoy/builtin.h"
#include "convoy/checkpoint.h"
#include "convoy/model_file.h"
#include "convoy/state.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"
#include "tests/paths.h"

namespace convoy::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class OnnxCommandTest : public testing::Test {
 protected:
  OnnxCommandTest() {
    here_.environment["CONVOY_PYTHON"] = python("{\"missing\": \"No module named onnxruntime\"}");
    const Model model = builtin_model("lenet5", {1, 28, 28}, 10);
    fs::create_directory(folder_ / "run");
    write_file(folder_ / "run/model.json", to_json(model));
    save_checkpoint(initial_state(model, 1), folder_ / "run/model.ckpt");
  }

  /// A program in the place of Python that says this.
  std::string python(const std::string& says) { return script("echo '" + says + "'\n"); }

  std::string script(const std::string& lines) {
    const fs::path file = folder_ / "python";
    write_file(file, "#!/bin/sh\n" + lines);
    fs::permissions(file, fs::perms::owner_all);
    return file.string();
  }

  Outcome exported(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"export", "--checkpoint", "run/model.ckpt", "--onnx", "m.onnx"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words, here_);
  }

  Outcome imported(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"import", "--onnx", "m.onnx", "--out", "again"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words, here_);
  }

  TemporaryFolder folder_;
  Surroundings here_ = {folder_.path()};
};

TEST_F(OnnxCommandTest, SaysThatItCouldNotVerifyAndWhatToDo) {
  const Outcome outcome = exported();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("m.onnx: "));
  EXPECT_THAT(outcome.out, HasSubstr("not verified: " + here_.environment["CONVOY_PYTHON"] +
                                     ": No module named onnxruntime; to verify, install onnxruntime there"));
  here_.environment["CONVOY_PYTHON"] = "no-such-python";
  EXPECT_THAT(exported().out,
              HasSubstr("not verified: no-such-python: No such file or directory; install Python 3"));
  EXPECT_THAT(exported({"--no-verify"}).out, HasSubstr("not verified: --no-verify was given"));
}

TEST_F(OnnxCommandTest, SaysWhatOnnxruntimeFound) {
  here_.environment["CONVOY_PYTHON"] = python(R"({"version": "1.2.3", "difference": 1e-6})");
  const Outcome outcome = exported({"--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto event = json_lines(outcome.out).at(0);
  EXPECT_EQ(event["format"], "onnx");
  EXPECT_EQ(event["verified"], true);
  EXPECT_THAT(event["verification"].get<std::string>(),
              HasSubstr("onnxruntime 1.2.3 computes the same logits"));
  EXPECT_EQ(event["bytes"], fs::file_size(folder_ / "m.onnx"));
}

TEST_F(OnnxCommandTest, WritesNothingIfOnnxruntimeFindsOtherLogits) {
  here_.environment["CONVOY_PYTHON"] = python(R"({"version": "1.2.3", "difference": 0.5})");
  Outcome outcome = exported();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("onnxruntime computes other logits: they differ by 0.5"));
  here_.environment["CONVOY_PYTHON"] = python(R"({"error": "no such operator"})");
  outcome = exported();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("onnxruntime cannot compute it: no such operator"));
  EXPECT_FALSE(fs::exists(folder_ / "m.onnx"));
}

// Python may print anything before, of its start or of its libraries.
TEST_F(OnnxCommandTest, TakesTheLastLineOfJson) {
  here_.environment["CONVOY_PYTHON"] =
      python("Welcome!\n{\"difference\": 5}\n[1]\n{\"version\": \"1.2.3\", \"difference\": 1e-6}\nbye");
  const Outcome outcome = exported();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("verified: onnxruntime 1.2.3 computes the same logits, within 1e-06"));
}

TEST_F(OnnxCommandTest, SaysSoIfPythonSaysSomethingElse) {
  for (const char* says : {"hello", "", R"({"difference": "small"})", R"({"error": 5})", R"({"missing": []})",
                           R"({"version": "1"})", R"({"difference": null})"}) {
    const std::string program = python(says);
    here_.environment["CONVOY_PYTHON"] = program;
    const Outcome outcome = exported();
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out,
                HasSubstr("\nnot verified: " + program + " does not say what onnxruntime computes"))
        << says;
  }
}

// The second one ignores the signal that it is ended by.
TEST_F(OnnxCommandTest, LeavesNothingIfItIsEndedWhileOnnxruntimeComputes) {
  fs::create_directory(folder_ / "tmp");
  here_.environment["TMPDIR"] = (folder_ / "tmp").string();
  for (const auto& [lines, signal] : {std::pair("kill -INT $PPID\nexec sleep 30\n", SIGINT),
                                      std::pair("trap '' TERM\nkill -TERM $PPID\nsleep 6\n", SIGTERM)}) {
    here_.environment["CONVOY_PYTHON"] = script(lines);
    const auto before = files_under(folder_.path());
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = exported();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(25));
    EXPECT_EQ(outcome.code, 128 + signal);
    EXPECT_EQ(outcome.err, std::string("convoy: error: interrupted") +
                               (signal == SIGINT ? "" : " by SIGTERM") + ": m.onnx is not written\n");
    EXPECT_EQ(files_under(folder_.path()), before);
  }
}

TEST_F(OnnxCommandTest, ImportsWhatItExportedAndTrainsOn) {
  write_idx_data(folder_ / "digits");
  fs::remove_all(folder_ / "run");
  const Outcome trained = run({"train", "--dataset", "idx", "--data", "digits", "--epochs", "1", "--mean",
                               "0.4", "--std", "0.3", "--out", "run"},
                              here_);
  ASSERT_EQ(trained.code, 0) << trained.err;
  ASSERT_EQ(exported().code, 0);
  const Outcome outcome = imported();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("layer1.0"));
  EXPECT_THAT(outcome.out, HasSubstr("again/model.json, again/model.ckpt"));
  const auto evaluated = [&](const std::string& checkpoint) {
    const Outcome eval =
        run({"eval", "--checkpoint", checkpoint, "--dataset", "idx", "--data", "digits", "--json"}, here_);
    EXPECT_EQ(eval.code, 0) << eval.err;
    return json_lines(eval.out).at(0);
  };
  const auto before = evaluated("run/model.ckpt"), after = evaluated("again/model.ckpt");
  EXPECT_EQ(after["confusion"], before["confusion"]);
  EXPECT_EQ(after["loss"], before["loss"]);
  EXPECT_EQ(load_model(folder_ / "again/model.json").preparation->normalization.mean,
            std::vector<float>{0.4f});
  const Outcome on = run({"train", "--model", "again/model.json", "--init", "again/model.ckpt", "--dataset",
                          "idx", "--data", "digits", "--epochs", "1", "--out", "on"},
                         here_);
  EXPECT_EQ(on.code, 0) << on.err;
  EXPECT_TRUE(fs::exists(folder_ / "on/model.ckpt"));
}

TEST_F(OnnxCommandTest, ImportNotesWhatItReadsInAnotherWay) {
  fs::copy(IO_GOLDEN_FOLDER "/onnx/torchscript-mnist.onnx", folder_ / "m.onnx");
  const std::string note =
      "node \"/LogSoftmax\" (LogSoftmax): it is left out, so the logits in front of it are the output; the "
      "loss and predict compute it themselves";
  const Outcome outcome = imported();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "convoy: note: " + note + "\n");
  const Outcome told = imported({"--overwrite", "--json"});
  ASSERT_EQ(told.code, 0) << told.err;
  EXPECT_EQ(json_lines(told.out).at(0)["notes"], nlohmann::json{note});
  EXPECT_EQ(load_model(folder_ / "again/model.json").layers.size(), 9u);
}

TEST_F(OnnxCommandTest, ImportReplacesAModelOnlyIfTold) {
  ASSERT_EQ(exported().code, 0);
  ASSERT_EQ(imported().code, 0);
  const Outcome again = imported();
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(
      again.err,
      HasSubstr("again/model.json is there already; name another folder with --out, or add --overwrite"));
  const Outcome told = imported({"--overwrite", "--json"});
  EXPECT_EQ(told.code, 0) << told.err;
  const auto event = json_lines(told.out).at(0);
  EXPECT_EQ(event["event"], "import");
  EXPECT_EQ(event["parameters"], 61706);
  EXPECT_EQ(event["classes"], 10);
}

// The accuracy in a run.json would be told of a network that never had it.
TEST_F(OnnxCommandTest, ImportsIntoNoTrainingsFolder) {
  ASSERT_EQ(exported().code, 0);
  write_file(folder_ / "run/run.json", "{}");
  const std::string model = read_file(folder_ / "run/model.ckpt");
  for (const std::string folder : {"run", "run/previous", "run/"}) {
    const auto before = files_under(folder_.path());
    const Outcome outcome = run({"import", "--onnx", "m.onnx", "--out", folder, "--overwrite"}, here_);
    EXPECT_EQ(outcome.code, 2) << outcome.out;
    EXPECT_EQ(lines(outcome.err).size(), 1u);
    EXPECT_THAT(outcome.err, HasSubstr(" is for the training in " + (folder_ / "run").string()));
    EXPECT_THAT(outcome.err, HasSubstr("; name another folder with --out"));
    EXPECT_EQ(files_under(folder_.path()), before);
  }
  EXPECT_EQ(read_file(folder_ / "run/model.ckpt"), model);
}

TEST_F(OnnxCommandTest, DoesNotReplaceTheFileThatItImports) {
  ASSERT_EQ(exported().code, 0);
  fs::create_directory(folder_ / "again");
  fs::rename(folder_ / "m.onnx", folder_ / "again/model.ckpt");
  fs::create_symlink("again/model.ckpt", folder_ / "m.onnx");
  const Outcome outcome = imported({"--overwrite"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err,
            "convoy: error: again/model.ckpt is the file to import; name another folder with --out\n");
}

TEST_F(OnnxCommandTest, InPlaceOfACheckpointOrAModelTheCommandIsNamed) {
  ASSERT_EQ(exported().code, 0);
  write_idx_data(folder_ / "digits");
  const std::string advice =
      "m.onnx: it is an ONNX file; make a model and a checkpoint of it: convoy import --onnx FILE --out "
      "FOLDER";
  const std::vector<std::string> train = {"train", "--dataset", "idx", "--data", "digits"};
  for (std::vector<std::string> more :
       {std::vector<std::string>{"--init", "m.onnx"}, {"--model", "m.onnx"}}) {
    more.insert(more.begin(), train.begin(), train.end());
    EXPECT_THAT(run(more, here_).err, HasSubstr(advice)) << more[5];
  }
  EXPECT_THAT(run({"eval", "--checkpoint", "m.onnx", "--data", "digits"}, here_).err, HasSubstr(advice));
  EXPECT_THAT(run({"export", "--checkpoint", "m.onnx", "--pytorch", "x.pt"}, here_).err, HasSubstr(advice));
  write_png(folder_ / "x.png", {28, 28, 1, std::vector<std::uint8_t>(784, 7)});
  EXPECT_THAT(run({"predict", "--checkpoint", "m.onnx", "x.png"}, here_).err, HasSubstr(advice));
  EXPECT_THAT(run({"eval", "--checkpoint", "run/model.ckpt", "--model", "m.onnx"}, here_).err,
              HasSubstr(advice));
}

// A training that is about to begin there holds the folder's lock.
TEST_F(OnnxCommandTest, WaitsForNoLock) {
  ASSERT_EQ(exported().code, 0);
  fs::create_directory(folder_ / "again");
  const int lock = open((folder_ / "again/.lock").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const Outcome outcome = imported();
  close(lock);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("again: another training writes to this folder"));
  EXPECT_EQ(files_under(folder_ / "again"), std::vector<std::string>{".lock"});
  fs::remove(folder_ / "again/.lock");
  ASSERT_EQ(imported().code, 0);
  EXPECT_EQ(files_under(folder_ / "again"), (std::vector<std::string>{"model.ckpt", "model.json"}));
}

TEST_F(OnnxCommandTest, InspectTellsWhatIsInAFile) {
  EXPECT_THAT(exported().err, HasSubstr("how the training images were made is not known"));
  const Outcome outcome = run({"inspect", "m.onnx"}, here_);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* words :
       {"m.onnx: an ONNX model", "12 layers for images [1, 28, 28] and 10 classes, which convoy import reads",
        "12: 4 Relu, 3 Gemm, 2 Conv, 2 MaxPool, 1 Flatten", "conv1.weight", "[6, 1, 5, 5]"}) {
    EXPECT_THAT(outcome.out, HasSubstr(words));
  }
  const auto told = json_lines(run({"inspect", "--json", "m.onnx"}, here_).out).at(0);
  EXPECT_EQ(told["parameters"], 61706);
  EXPECT_EQ(told["tensors"], 10);
  EXPECT_FALSE(told["metadata"].contains("preparation")) << "nothing tells how the images were made";
  EXPECT_EQ(told["bytes"], fs::file_size(folder_ / "m.onnx"));
  EXPECT_EQ(told["values"]["opset"], "17");
  EXPECT_EQ(told["values"]["input \"input\""], "float32 [batch, 1, 28, 28]");
  EXPECT_EQ(told["values"]["output \"logits\""], "float32 [batch, 10]");
  EXPECT_EQ(told["contents"][0]["name"], "conv1.weight");
  EXPECT_EQ(told["contents"][0]["shape"], (nlohmann::json{6, 1, 5, 5}));
}

TEST_F(OnnxCommandTest, InspectTellsOfNetworksThatAreNotRead) {
  fs::copy(IO_GOLDEN_FOLDER "/onnx/dynamo-batch1-convnet.onnx", folder_ / "m.onnx");
  const Outcome missing = run({"inspect", "m.onnx"}, here_);
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(
      missing.err,
      "convoy: error: m.onnx: tensor \"layer1.0.weight\": its elements are "
      "in \"dynamo-batch1-convnet.onnx.data\", which cannot be opened in the folder of the ONNX file\n");
  EXPECT_THAT(missing.out, HasSubstr("not_imported"));
  fs::copy(IO_GOLDEN_FOLDER "/onnx/dynamo-batch1-convnet.onnx.data",
           folder_ / "dynamo-batch1-convnet.onnx.data");
  const Outcome outcome = run({"inspect", "m.onnx"}, here_);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("elements in      \"dynamo-batch1-convnet.onnx.data\""));
  const std::string whole = read_file(folder_ / "m.onnx");
  write_file(folder_ / "m.onnx", whole.substr(0, whole.size() / 2));
  const Outcome cut = run({"inspect", "m.onnx"}, here_);
  EXPECT_EQ(cut.code, 1);
  EXPECT_EQ(cut.err, "convoy: error: cannot read m.onnx: it is not an ONNX file, or is cut off\n");
}

TEST_F(OnnxCommandTest, BadInputIsOneLineAndLeavesNothing) {
  write_file(folder_ / "m.onnx", "nothing of the kind");
  const Outcome outcome = imported();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "convoy: error: cannot import m.onnx: it is not an ONNX file, or is cut off\n");
  EXPECT_FALSE(fs::exists(folder_ / "again"));
  EXPECT_EQ(run({"import", "--out", "again"}, here_).code, 2);
  EXPECT_EQ(run({"export", "--checkpoint", "run/model.ckpt", "--pytorch", "m.pt", "--fold"}, here_).code, 2);
}

TEST_F(OnnxCommandTest, AFullDiskLeavesNothing) {
  ASSERT_EQ(exported().code, 0);
  fs::remove(folder_ / "m.onnx");
  const Outcome outcome =
      run({"-c", "ulimit -f 100; exec \"$0\" export --checkpoint run/model.ckpt --onnx m.onnx --no-verify",
           path_of("CONVOY_PROGRAM", "../../convoy").string()},
          {folder_.path(), here_.environment, "/bin/sh"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "convoy: error: cannot write m.onnx: File too large\n");
  EXPECT_FALSE(fs::exists(folder_ / "m.onnx"));
}

}  // namespace
}  // namespace convoy::test
