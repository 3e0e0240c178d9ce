// Trainings on made-up data that are stopped and go on.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {

inline constexpr int kFailed = 1, kUsage = 2;  // exit codes

class TrainingThatStops : public testing::Test {
 protected:
  // Of MNIST's size, so that a step takes long enough to be stopped behind.
  void SetUp() override { write_idx_data(folder_ / "digits", {.extent = 28}); }

  static std::vector<std::string> training(const std::string& out,
                                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"train", "--dataset",    "idx", "--data",      "digits", "--out",
                                          out,     "--shift",      "1",   "--epochs",    "8",      "--device",
                                          "cpu",   "--batch-size", "64",  "--log-every", "1",      "--swa"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Outcome train(const std::string& out, const std::vector<std::string>& more = {}) const {
    return run(training(out, more), {folder_.path()});
  }

  Outcome resume(const std::string& name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"train", "--resume", name};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, {folder_.path()});
  }

  /// Stopped by `signal` in the middle of an epoch.
  Outcome stop(const std::string& out, int signal, const std::string& at,
               const std::vector<std::string>& more = {}) const {
    return run_and_signal(training(out, more), {folder_.path()}, at, signal);
  }

  std::string bytes(const std::string& file) const { return read_file(folder_ / file); }

  std::vector<std::string> states(const std::string& run) const {
    return files_under(folder_ / run / "states");
  }

  TemporaryFolder folder_;
};

}  // namespace convoy::test
