// Whatever is wrong: one line on standard error, the right exit code, and not a file more than before.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {

inline constexpr int kFailed = 1, kUsage = 2;

inline std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

class BadInputTest : public testing::Test {
 protected:
  void SetUp() override { write_idx_data(digits()); }

  std::filesystem::path digits() const { return folder_ / "digits"; }
  std::filesystem::path train_images() const { return digits() / "train-images-idx3-ubyte"; }
  std::filesystem::path train_labels() const { return digits() / "train-labels-idx1-ubyte"; }

  void expect_refused(const std::vector<std::string>& arguments, int code, const std::string& reason) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const auto before = files_under(folder_.path());
    const Outcome outcome = run(arguments, {folder_.path()});
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    EXPECT_THAT(outcome.err, testing::StartsWith("convoy: error: "));
    EXPECT_THAT(outcome.err, testing::HasSubstr(reason));
    EXPECT_THAT(outcome.out, testing::Not(testing::HasSubstr("Epoch")));  // nothing was trained
    EXPECT_EQ(files_under(folder_.path()), before);
  }

  /// Trains into `run`, for what needs a model.
  void train() {
    const Outcome outcome = run(
        {"train", "--dataset", "idx", "--data", "digits", "--epochs", "1", "--out", "run"}, {folder_.path()});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  /// Training on the folder `digits` with more flags.
  void expect_train_refused(const std::vector<std::string>& more, int code, const std::string& reason) {
    std::vector<std::string> arguments = {"train", "--dataset", "idx", "--data", "digits", "--epochs", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refused(arguments, code, reason);
  }

  TemporaryFolder folder_;
};

}  // namespace convoy::test
