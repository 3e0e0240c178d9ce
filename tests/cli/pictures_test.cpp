// convoy predict on pictures as people make them, and on the images of every data set.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "convoy/catalog.h"
#include "tests/cli/digit_pictures.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

/// A number from the environment, for measurements that are larger than the suite's.
std::size_t setting(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::size_t>(std::atoll(text));
}

/// How many digits of a kind of picture are named rightly.
std::size_t right_of(const PictureKind& kind, const Dataset& digits, std::size_t count,
                     const std::string& checkpoint, const Surroundings& here) {
  std::vector<std::string> arguments = {"predict", "--checkpoint", checkpoint, "--json"};
  for (std::size_t i = 0; i < count; ++i) {
    const auto digit = std::span(digits.pixels).subspan(784 * i, 784);
    arguments.push_back(kind.write(here.folder / std::to_string(i), digit, static_cast<std::uint32_t>(i)));
  }
  const Outcome outcome = run(arguments, here);
  std::size_t right = 0;
  std::vector<std::size_t> wrong;
  for (const auto& prediction : json_lines(outcome.out)) {
    const auto number =
        std::stoul(std::filesystem::path(prediction["file"].get<std::string>()).stem().string());
    const bool is_right = prediction["class"] == std::to_string(digits.labels[number]);
    right += is_right;
    if (!is_right) wrong.push_back(number);
  }
  fmt::print("{:<24} {:6.2f} %  wrong: {}\n", kind.name,
             100.0 * static_cast<double>(right) / static_cast<double>(count), fmt::join(wrong, " "));
  if (!outcome.err.empty()) fmt::print("{}", outcome.err);
  return right;
}

TEST(Pictures, OfAnyKindAreReadNearlyAsWellAsCleanOnes) {
  const auto mnist = real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA does not name a folder with MNIST";
  const TemporaryFolder folder;
  const Surroundings here = {folder.path(), {{"CONVOY_DATA", mnist->string()}}};
  const char* given = std::getenv("CONVOY_PICTURES_CHECKPOINT");
  const std::string checkpoint = given != nullptr ? given : "run/model.ckpt";
  if (given == nullptr) {
    const Outcome trained = run({"train", "--limit-train", "20000", "--epochs", "1", "--out", "run"}, here);
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  const Dataset digits = load("mnist", *mnist).test;
  const std::size_t count = setting("CONVOY_PICTURES", 60);
  std::size_t clean = 0, all = 0, kinds = 0;
  for (const PictureKind& kind : picture_kinds()) {
    const std::size_t right = right_of(kind, digits, count, checkpoint, here);
    if (kind.name == "clean") {
      clean = right;
      EXPECT_GE(right, count * 94 / 100);
      continue;
    }
    // Two points of the clean ones; of few pictures two at least, for one alone is more than a point.
    EXPECT_GE(right + std::max<std::size_t>(2, count / 50), clean) << kind.name;
    all += right;
    ++kinds;
  }
  EXPECT_GE(all + kinds * count / 50, kinds * clean) << "all kinds together";
}

}  // namespace
}  // namespace convoy::test
