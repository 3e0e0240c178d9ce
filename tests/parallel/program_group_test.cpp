// The program in several processes that a real mpirun starts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <filesystem>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"
#include "tests/paths.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class ProgramGroupTest : public testing::Test {
 protected:
  void SetUp() override {
    write_idx_data(folder_ / "digits", {.train = 530, .test = 201});
    write_file(folder_ / "model.json", tiny_model_json());
  }

  static std::string convoy() { return path_of("CONVOY_PROGRAM", "../../convoy").string(); }

  /// `command` in so many processes. A machine of tests may have fewer processors, and root may run them.
  Outcome mpirun(int processes, const std::vector<std::string>& command,
                 std::map<std::string, std::string> environment = {}) const {
    std::vector<std::string> words = {"--oversubscribe", "-n", std::to_string(processes)};
    words.insert(words.end(), command.begin(), command.end());
    environment.insert({{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                        {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                        {"ASAN_OPTIONS", "detect_leaks=0"}});  // Open MPI keeps memory to its end
    return run(words, {folder_.path(), environment, MPIRUN});
  }

  static std::vector<std::string> train(std::vector<std::string> more) {
    std::vector<std::string> words = {"train",   "--dataset",  "idx",         "--data",   "digits",
                                      "--model", "model.json", "--overwrite", "--epochs", "2"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  /// As rank 1 `then` is run behind the start of the training, or instead of it.
  static std::vector<std::string> but_rank_1(const std::string& then,
                                             const std::vector<std::string>& arguments) {
    std::string line = "if [ $OMPI_COMM_WORLD_RANK = 1 ]; then " + then + " fi; exec " + convoy();
    for (const std::string& argument : arguments) line += " " + argument;
    return {"sh", "-c", line};
  }

  /// What happens to the process while it trains: when an epoch has been written.
  static std::string in_training(const std::string& command) {
    return "( until ls run/states/step-*.ckpt >/dev/null 2>&1; do kill -0 $$ || exit; sleep 0.02; done; " +
           command + " ) &";
  }

  TemporaryFolder folder_;
};

std::vector<double> losses(const Outcome& outcome) {
  std::vector<double> found;
  for (const auto& event : json_lines(outcome.out)) {
    if (event["event"] == "step" || event["event"] == "epoch") found.push_back(event["loss"]);
  }
  return found;
}

// SGD on a model without batch norm: a step's losses are sums over 20 rows of about 1, and so are a weight's
// gradients; the order of each sum leaves a root of its length in roundings, which 54 steps at a rate of 0.05
// carry on: 4 * sqrt(20) * 54 * 0.05 * 2^-24 is 3e-6.
TEST_F(ProgramGroupTest, LossesAreThoseOfOneProcessWithTheWholeBatch) {
  for (const std::string device : {"reference", "cpu"}) {
    SCOPED_TRACE(device);
    std::vector<double> alone;
    for (const int processes : {1, 2, 4}) {
      SCOPED_TRACE(processes);
      std::vector<std::string> words = {convoy()};
      for (const std::string& word : train(
               {"--device", device, "--batch-size", std::to_string(20 / processes), "--log-every", "1",
                "--json", "--optimizer", "sgd", "--lr", "0.05", "--shift", "1", "--flip", "--out", "run"})) {
        words.push_back(word);
      }
      const Outcome outcome = mpirun(processes, words);
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      const auto found = losses(outcome);
      ASSERT_EQ(found.size(), 2 * (27 + 1u));
      if (processes == 1) alone = found;
      for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], alone[i], 1e-5) << i;
      const auto events = json_lines(outcome.out);
      EXPECT_EQ(events.front()["processes"], processes);
      EXPECT_EQ(read_file(folder_ / "run/run.json").find("\"processes\": " + std::to_string(processes)) !=
                    std::string::npos,
                true);
      EXPECT_THAT(files_under(folder_ / "run"), testing::Contains("model.ckpt"));
    }
  }
}

// All decide alike, by what all have seen.
TEST_F(ProgramGroupTest, AnEarlyEndIsThatOfAll) {
  std::vector<std::string> words = {convoy()};
  for (const std::string& word :
       train({"--device", "reference", "--batch-size", "10", "--epochs", "40", "--lr", "0.01", "--stop-at",
              "70", "--test-every", "5", "--json", "--out", "run"})) {
    words.push_back(word);
  }
  const Outcome stopped = mpirun(2, words);
  ASSERT_EQ(stopped.code, 0) << stopped.err;
  const auto last = json_lines(stopped.out).back();
  EXPECT_EQ(last["ended"], "stop-at");
  EXPECT_LT(last["images"], 40 * 530);

  words.insert(words.end(), {"--stop-at", "100", "--validation", "130", "--patience", "1"});
  const Outcome patient = mpirun(2, words);
  ASSERT_EQ(patient.code, 0) << patient.err;
  EXPECT_NE(json_lines(patient.out).back()["ended"], "epochs");

  const Outcome seeds =
      mpirun(2, {convoy(), "train", "--dataset", "idx", "--data", "digits", "--seeds", "1-2"});
  EXPECT_EQ(seeds.code, 2);
  EXPECT_THAT(seeds.err, HasSubstr("--seeds trains in one process: start it without mpirun or torchrun"));
}

TEST_F(ProgramGroupTest, ARepeatGivesTheSameBits) {
  std::vector<std::string> words = {convoy()};
  for (const std::string& word : train({"--device", "reference", "--batch-size", "10", "--out", "run"}))
    words.push_back(word);
  ASSERT_EQ(mpirun(3, words).code, 0);
  const std::string first = read_file(folder_ / "run/model.ckpt");
  const auto events = [&] { return std::filesystem::exists(folder_ / "run/tensorboard"); };
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/report.html"));
  EXPECT_FALSE(events());
  words.insert(words.end(), {"--no-report", "--tensorboard"});  // they are rank 0's, and change no bit
  ASSERT_EQ(mpirun(3, words).code, 0);
  EXPECT_EQ(read_file(folder_ / "run/model.ckpt"), first);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/report.html"));
  EXPECT_TRUE(events());
}

TEST_F(ProgramGroupTest, ARankThatIsKilledEndsAll) {
  const auto words = but_rank_1(in_training("kill -9 $$"),
                                train({"--device", "reference", "--epochs", "100000", "--out", "run"}));
  const Outcome outcome = mpirun(2, words);
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err + outcome.out, HasSubstr("rank 1"));  // mpirun's words
}

// One that hangs, which no launcher sees.
TEST_F(ProgramGroupTest, ARankThatStopsIsNamed) {
  const auto words = but_rank_1(in_training("kill -STOP $$"),
                                train({"--device", "reference", "--epochs", "100000", "--out", "run"}));
  const Outcome outcome = mpirun(3, words, {{"CONVOY_GROUP_TIMEOUT", "10"}});
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("waited 10 s in a sum for rank 1 of 3, which did not come"));
}

TEST_F(ProgramGroupTest, ARankThatFailsIsToldAndEndsAll) {
  const auto words = but_rank_1("exec " + convoy() + " train --data nowhere --dataset idx --epochs 2;",
                                train({"--device", "reference", "--out", "run"}));
  const Outcome outcome = mpirun(2, words);
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("convoy: error: rank 1: the data set idx was not found: nowhere"));
}

TEST_F(ProgramGroupTest, WhatAllFindWrongIsOneLineOfOneOfThem) {
  std::vector<std::string> words = {convoy()};
  for (const std::string& word : train({"--device", "reference", "--batch-size", "200", "--out", "run"}))
    words.push_back(word);
  const Outcome outcome = mpirun(3, words);
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err,
              testing::ContainsRegex(
                  "convoy: error: rank [0-2]: batch size 200 of 3 processes is larger than the 530 images"));
}

TEST_F(ProgramGroupTest, ASignalToOneStopsAllAndSaves) {
  const auto words = but_rank_1(in_training("kill -TERM $$"),
                                train({"--device", "reference", "--epochs", "100000", "--out", "run"}));
  const Outcome outcome = mpirun(2, words);
  EXPECT_EQ(outcome.code, 128 + SIGTERM) << outcome.err;
  EXPECT_THAT(outcome.err, testing::AllOf(HasSubstr("convoy: error: rank 0: interrupted in epoch"),
                                          HasSubstr("its state is run/states/step-")));
}

// Killed in any process, a training goes on with as many to the same bits, and with another number all the
// same.
TEST_F(ProgramGroupTest, AKilledTrainingGoesOn) {
  const std::vector<std::string> flags = {"--device",     "reference", "--epochs", "40",
                                          "--save-every", "7",         "--keep",   "3"};
  const auto training = [&](const std::string& out) {
    std::vector<std::string> more = flags;
    more.insert(more.end(), {"--out", out});
    return train(more);
  };
  std::vector<std::string> whole = {convoy()};
  for (const std::string& word : training("whole")) whole.push_back(word);
  ASSERT_EQ(mpirun(2, whole).code, 0);
  ASSERT_NE(mpirun(2, but_rank_1(in_training("kill -9 $$"), training("run"))).code, 0);
  ASSERT_FALSE(std::filesystem::exists(folder_ / "run/model.ckpt"));
  std::filesystem::copy(folder_ / "run", folder_ / "alone", std::filesystem::copy_options::recursive);

  const Outcome same = mpirun(2, {convoy(), "train", "--resume", "run"});
  EXPECT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("resume  run/states/step-"));
  EXPECT_TRUE(read_file(folder_ / "run/model.ckpt") == read_file(folder_ / "whole/model.ckpt"));

  const Outcome alone = mpirun(1, {convoy(), "train", "--resume", "alone"});
  EXPECT_EQ(alone.code, 0) << alone.err;
  EXPECT_THAT(alone.err, HasSubstr("alone was computed by 2 processes on"));
  EXPECT_THAT(alone.err, HasSubstr("its bits may differ from those of an undisturbed training"));
}

TEST_F(ProgramGroupTest, DivergenceIsToldOnceAndSaved) {
  std::vector<std::string> words = {convoy()};
  for (const std::string& word : train({"--device", "reference", "--log-every", "1", "--optimizer", "sgd",
                                        "--lr", "1e30", "--out", "run"})) {
    words.push_back(word);
  }
  const Outcome outcome = mpirun(2, words);
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("convoy: error: rank 0: training diverged"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("rank 1: ")));
  EXPECT_THAT(outcome.err, HasSubstr("the last state known to be finite is run/states/step-"));
}

TEST_F(ProgramGroupTest, VariablesByHalvesAreOneLine) {
  const Outcome halves =
      run(train({"--device", "cpu"}), {folder_.path(), {{"RANK", "0"}, {"WORLD_SIZE", "2"}}});
  EXPECT_EQ(halves.code, 2);
  EXPECT_EQ(lines(halves.err).size(), 1u);
  EXPECT_THAT(halves.err, HasSubstr("RANK is set, but not LOCAL_RANK, MASTER_ADDR, MASTER_PORT"));

  const Outcome no_mpi = run(train({"--device", "cpu"}), {folder_.path(),
                                                          {{"RANK", "0"},
                                                           {"WORLD_SIZE", "2"},
                                                           {"LOCAL_RANK", "0"},
                                                           {"MASTER_ADDR", "127.0.0.1"},
                                                           {"MASTER_PORT", "29500"}}});
  EXPECT_EQ(no_mpi.code, 2);
  EXPECT_THAT(no_mpi.err, HasSubstr("take --device cuda, or start them with mpirun"));
}

// An epoch over 4 processes of 25 images is one of 100: PyTorch's classic program gets above 97 % with it.
TEST_F(ProgramGroupTest, FourProcessesLearnMnist) {
  const auto mnist = real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA names no MNIST";
  const Outcome outcome = mpirun(4, {convoy(), "train", "--data", mnist->string(), "--device", "cpu",
                                     "--epochs", "1", "--batch-size", "25", "--json", "--out", "run"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GE(json_lines(outcome.out).back()["accuracy"].get<double>(), 0.97);
}

}  // namespace
}  // namespace convoy::test
