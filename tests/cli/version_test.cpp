// The version of the program, of the library and of the headers is one.
#include "convoy/version.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/program.h"

namespace convoy::test {
namespace {

TEST(Version, IsTheSameEverywhere) {
  EXPECT_EQ(fmt::format("{}.{}.{}", CONVOY_VERSION_MAJOR, CONVOY_VERSION_MINOR, CONVOY_VERSION_PATCH),
            CONVOY_VERSION_STRING);
  EXPECT_STREQ(version(), CONVOY_VERSION_STRING);
  EXPECT_STREQ(version(), VERSION_OF_THE_BUILD);
}

TEST(Version, IsToldByTheProgramWithWhatItWasBuiltWith) {
  const TemporaryFolder folder;
  const Outcome outcome = run({"--version"}, {folder.path()});
  EXPECT_EQ(outcome.code, 0);
  const auto told = lines(outcome.out);
  ASSERT_EQ(told.size(), 2u) << outcome.out;
  EXPECT_EQ(told[0], fmt::format("convoy {}", version()));
  EXPECT_THAT(told[1], testing::ContainsRegex("^[A-Za-z]+ [0-9.]+, .*oneDNN.*, .*CUDA"));
}

}  // namespace
}  // namespace convoy::test
