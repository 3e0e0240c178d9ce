// The recipes: each is whole, is listed, and trains.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::MatchesRegex;

std::vector<nlohmann::json> all_recipes() {
  const TemporaryFolder folder;
  const Outcome outcome = run({"recipes", "--json"}, {folder.path()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return json_lines(outcome.out);
}

/// Ten classes of noise in the format of the data set, so that no recipe needs its real data.
void write_data(const std::filesystem::path& folder, const std::string& dataset) {
  if (dataset != "cifar10") return write_idx_data(folder, {.train = 600, .test = 100, .extent = 28});
  std::filesystem::create_directories(folder);
  for (const char* name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                           "data_batch_5.bin", "test_batch.bin"}) {
    std::string bytes;
    for (int i = 0; i < 120; ++i) {
      bytes += static_cast<char>(i % 10);
      for (int p = 0; p < 3072; ++p) bytes += static_cast<char>((i * 31 + p * p) % 251);
    }
    write_file(folder / name, bytes);
  }
}

TEST(Recipes, AreListedWithWhatTheyReachAndWhereThatWasMeasured) {
  const TemporaryFolder folder;
  const Outcome listed = run({"recipes"}, {folder.path()});
  ASSERT_EQ(listed.code, 0) << listed.err;
  bool classic = false;
  for (const nlohmann::json& recipe : all_recipes()) {
    SCOPED_TRACE(recipe.dump());
    EXPECT_EQ(recipe["event"], "recipe");
    for (const char* member : {"name", "description", "reaches", "machine", "command", "date"}) {
      ASSERT_TRUE(recipe[member].is_string());
      EXPECT_NE(recipe[member], "");
      EXPECT_THAT(listed.out, HasSubstr(recipe[member].get<std::string>()));
    }
    const auto name = recipe["name"].get<std::string>();
    EXPECT_THAT(recipe["date"].get<std::string>(), MatchesRegex("20[0-9][0-9]-[01][0-9]-[0-3][0-9]"));
    EXPECT_THAT(recipe["command"].get<std::string>(), HasSubstr("--recipe " + name));
    EXPECT_THAT(recipe["reaches"].get<std::string>(), AnyOf(HasSubstr(" %"), HasSubstr("not known")));
    classic = classic || name == "classic";
  }
  EXPECT_TRUE(classic);
}

// On data of their format: each trains for some steps, from the flags that --print-config shows.
TEST(Recipes, EachTrains) {
  for (const nlohmann::json& recipe : all_recipes()) {
    const auto name = recipe["name"].get<std::string>();
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    const Outcome printed = run({"train", "--recipe", name, "--print-config"}, {folder.path()});
    ASSERT_EQ(printed.code, 0) << printed.err;
    const std::string key = "\ndataset = \"";
    const std::size_t at = printed.out.find(key) + key.size();
    write_data(folder / "data", printed.out.substr(at, printed.out.find('"', at) - at));
    const Outcome outcome =
        // Three epochs of 40 steps, which is more than a recipe warms up for.
        run({"train", "--recipe", name, "--data", "data", "--device", "cpu", "--epochs", "3", "--batch-size",
             "2", "--limit-train", "80", "--limit-test", "50", "--out", "run", "--json"},
            {folder.path()});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(std::isfinite(json_lines(outcome.out).back()["loss"].get<double>()));
    const auto summary = run({"train", "--recipe", name, "--summary"}, {folder.path()});
    EXPECT_EQ(summary.code, 0) << summary.err;
  }
}

// The tutorial to the letter is what the program does without a flag.
TEST(Recipes, TheClassicIsThePlainTraining) {
  const TemporaryFolder folder;
  const Outcome plain = run({"train", "--print-config"}, {folder.path()});
  const Outcome classic = run({"train", "--recipe", "classic", "--print-config"}, {folder.path()});
  ASSERT_EQ(classic.code, 0) << classic.err;
  EXPECT_EQ(classic.out, plain.out);
  for (const char* line : {"epochs = 5", "batch-size = 100", "lr = 0.001", "optimizer = \"adam\"",
                           "swa = false", "flip = \"none\"", "shift = 0", "model = \"convnet\""}) {
    EXPECT_THAT(classic.out, HasSubstr(std::string("\n") + line + "\n"));
  }
}

TEST(Recipes, ANameThatIsNoneIsAnsweredWithAllOfThem) {
  const TemporaryFolder folder;
  for (const char* name : {"clasic", "../recipes/classic", "classic.toml"}) {
    const Outcome outcome = run({"train", "--recipe", name}, {folder.path()});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, HasSubstr(std::string("there is no recipe '") + name + "': known are "));
    EXPECT_THAT(outcome.err, HasSubstr("classic"));
    EXPECT_EQ(lines(outcome.err).size(), 1u);
  }
}

}  // namespace
}  // namespace convoy::test
