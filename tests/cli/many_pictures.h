// The frame of the tests of convoy predict on many pictures.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {

/// An 8 x 8 picture with a bar whose place tells `number`.
inline Pixels bar(std::size_t number) {
  Pixels pixels{8, 8, 1, std::vector<std::uint8_t>(64, 0)};
  for (std::size_t y = 1; y < 7; ++y)
    pixels.values[y * 8 + 1 + number % 6] = static_cast<std::uint8_t>(255 - number);
  return pixels;
}

/// A model of 8 x 8 pictures that was trained a little, and pictures for it.
class PredictManyTest : public testing::Test {
 protected:
  void SetUp() override {
    write_idx_data(folder_ / "digits");
    write_file(folder_ / "tiny.json", tiny_model_json());
    const Outcome trained = run({"train", "--dataset", "idx", "--data", "digits", "--model", "tiny.json",
                                 "--epochs", "1", "--out", "run"},
                                here_);
    ASSERT_EQ(trained.code, 0) << trained.err;
  }

  std::vector<std::string> call(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"predict", "--checkpoint", "run/model.ckpt"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  Outcome predict(const std::vector<std::string>& more) { return run(call(more), here_); }

  /// The names of the pictures in the order of the answers.
  static std::vector<std::string> files(const Outcome& outcome) {
    std::vector<std::string> names;
    for (const auto& event : json_lines(outcome.out)) names.push_back(event["file"]);
    return names;
  }

  void put(const std::string& name, std::size_t number) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    write_png(folder_ / name, bar(number));
  }

  TemporaryFolder folder_;
  Surroundings here_ = {folder_.path()};
};

}  // namespace convoy::test
