// Configurations by themselves: what a file may say, and that all flags of a training fit into one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <set>

#include "apps/convoy/config_file.h"
#include "apps/convoy/config_text.h"
#include "apps/convoy/recorded_flags.h"
#include "apps/convoy/train_flags.h"
#include "convoy/error.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ConfigFile : public testing::Test {
 protected:
  std::vector<ConfigEntry> read(const std::string& text) const {
    write_file(folder_ / "f.toml", text);
    return read_config(folder_ / "f.toml");
  }

  /// What is wrong with it, without the folder.
  std::string refusal(const std::string& text) const {
    try {
      read(text);
    } catch (const UsageError& error) {
      const std::string what = error.what();
      return what.substr(what.find("f.toml"));
    }
    return "accepted";
  }

  TemporaryFolder folder_;
};

TEST_F(ConfigFile, HoldsTextNumbersTruthValuesAndLists) {
  const auto entries = read(
      "# a comment\r\n"
      "lr = 1e-3 # and one behind a value\n"
      "  model=\"a b, #1.json\"\n"
      "data = 'with \"quotes\"'\n"
      "flip = true\n"
      "mean = [0.5,0.25 , -1 ]\n"
      "std = [ # of each channel\n  1,\n\n  2, # the second\n]\n"
      "names = [\"a, b\", 'c']\n"
      "[recipe]\n"
      "description = \"what it is\"\n"
      "[ recipe.measured ]\n"
      "date = \"2026-01-01\"");
  std::vector<std::string> lines;
  for (const ConfigEntry& entry : entries) {
    std::string line = entry.table + "/" + entry.key;
    for (const std::string& value : entry.values) line += "|" + value;
    lines.push_back(line);
  }
  EXPECT_THAT(lines, ElementsAre("/lr|1e-3", "/model|a b, #1.json", "/data|with \"quotes\"", "/flip|true",
                                 "/mean|0.5|0.25|-1", "/std|1|2", "/names|a, b|c",
                                 "recipe/description|what it is", "recipe.measured/date|2026-01-01"));
  EXPECT_THAT(entries.at(5).where, testing::EndsWith("f.toml:7: std"));
  EXPECT_TRUE(read("").empty());
}

TEST_F(ConfigFile, AnythingElseIsNamedWithItsLine) {
  EXPECT_EQ(refusal("lr = 0.1\nlr 0.2\n"), "f.toml:2: 'lr 0.2' is not of the form key = value");
  EXPECT_EQ(refusal("a b = 1"), "f.toml:1: 'a b = 1' is not of the form key = value");
  EXPECT_EQ(refusal("a.b = 1"), "f.toml:1: 'a.b = 1' is not of the form key = value");
  EXPECT_EQ(refusal("lr = 1\n\nflip = true\nlr = 2\n"), "f.toml:4: lr is there twice");
  EXPECT_EQ(refusal("lr ="), "f.toml:1: lr has no value");
  EXPECT_EQ(refusal("mean = []"), "f.toml:1: mean has no value");
  EXPECT_EQ(refusal("mean = [1,,2]"), "f.toml:1: mean has no value");
  EXPECT_EQ(refusal("mean = [1,\n2\n"), "f.toml:1: the list of mean is not closed");
  EXPECT_EQ(refusal("mean = [[1], 2]"),
            "f.toml:1: mean: [1] is no number and no truth value; text stands in quotes");
  for (const char* bare : {"adam", "5 6", "1, 2", "007", ".5", "5.", "1e", "True", "0x1f", "1_000", "-"}) {
    EXPECT_THAT(refusal(std::string("a = ") + bare),
                HasSubstr("a: " + std::string(bare) + " is no number and"));
  }
  for (const char* number : {"0", "-0.5", "+3", "1e-3", "2.5E+7", "18446744073709551615"}) {
    EXPECT_EQ(refusal(std::string("a = ") + number), "accepted") << number;
  }
  EXPECT_EQ(refusal("a = \"b"), "f.toml:1: a quote is not closed: \"");
  EXPECT_EQ(refusal("a = \"b\"c"), "f.toml:1: 'c' follows a closing quote");
  EXPECT_EQ(refusal("a = \"\"\"b\"\"\""), "f.toml:1: '\"' follows a closing quote");
  EXPECT_EQ(refusal("a = \"b\" 'c'"),
            "f.toml:1: a: \"b\" 'c' is no number and no truth value; text stands in quotes");
  EXPECT_EQ(refusal("a = \"b\\n\""), "f.toml:1: a backslash is not read here");
  EXPECT_EQ(refusal("[a]\n[b]\n[a]\n"), "f.toml:3: [a] is there twice");
  for (const char* table : {"[[a]]", "[a", "[a] b = 1", "[]"}) {
    EXPECT_THAT(refusal(table), HasSubstr("is not of the form [table]")) << table;
  }
  EXPECT_THROW(read_config(folder_.path()), Error);
  EXPECT_THROW(read_config(folder_ / "none.toml"), Error);
}

TEST(ConfigValue, IsReadAsItWasWritten) {
  EXPECT_EQ(config_value("0.5"), "0.5");
  EXPECT_EQ(config_value("true"), "true");
  EXPECT_EQ(config_value("cpu"), "\"cpu\"");
  EXPECT_EQ(config_value(".5"), "\".5\"");
  EXPECT_EQ(config_value(""), "\"\"");
  EXPECT_EQ(config_value("a \"b\""), "'a \"b\"'");
  for (const char* unfit : {"a\nb", "a\\b", "a'\"b"}) EXPECT_EQ(config_value(unfit), "") << unfit;
}

/// The command `convoy train`, as it is without a command line.
struct TrainCommand {
  TrainFlags flags;
  CLI::App command{"", "train"};
  TrainCommand() { add_train_flags(command, flags); }
};

// The last of what is in braces: "TEXT:{adam,sgd}".
std::string last_choice(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::size_t end = type.find('}');
  if (end == std::string::npos) return "";
  const std::size_t begin = type.find_last_of(",{", end) + 1;
  return type.substr(begin, end - begin);
}

/// Values of which one fits every option, but for those that have a list of choices in their help.
const std::vector<std::string> kSomeValues = {"0.25",        "3",       "cpu",   "/a b",   "1-3",
                                              "alternating", "3epochs", "10,20", "cosine", "linear",
                                              "random",      "all",     "0.9",   "8x8"};

/// Gives an option the first value that it takes and does not have by itself. False if it takes none of those
/// that are tried.
bool give_some_value(CLI::Option& option) {
  const bool is_switch = option.get_items_expected_max() == 0;
  std::vector<std::string> values = {is_switch ? "true" : last_choice(option)};
  if (!is_switch) values.insert(values.end(), kSomeValues.begin(), kSomeValues.end());
  for (const std::string& value : values) {
    if (value.empty() || value == default_value(option)) continue;
    option.clear();
    try {
      option.add_result(value);
      option.run_callback();
      return true;
    } catch (const std::exception&) {
      // The next one.
    }
  }
  option.clear();
  return false;
}

// Each flag there is, with some value, so that one that is added is tried as well.
TEST_F(ConfigFile, HoldsEveryFlagOfATraining) {
  TrainCommand all;
  std::set<std::string> given;
  for (CLI::Option* option : all.command.get_options()) {
    const bool excluded = std::ranges::any_of(option->get_excludes(),
                                              [](const CLI::Option* other) { return other->count() > 0; });
    if (is_of_the_call(*option) || excluded) continue;
    ASSERT_TRUE(give_some_value(*option)) << option->get_name() << ": which value does it take?";
    given.insert(option->get_single_name());
  }
  EXPECT_GT(given.size(), 30u);
  const std::string text = config_text(all.command);
  TrainCommand again;
  write_file(folder_ / "all.toml", text);
  take_config(again.command, {.file = folder_ / "all.toml"});
  EXPECT_EQ(config_text(again.command), text);
  EXPECT_EQ(given_flags(again.command), given_flags(all.command));
  EXPECT_EQ(config_json(again.command), config_json(all.command));
  for (const std::string& key : given) EXPECT_THAT(text, HasSubstr("\n" + key + " = "));

  // And none: then it has what the program does by itself.
  TrainCommand none;
  const std::string defaults = config_text(none.command);
  for (const CLI::Option* option : none.command.get_options()) {
    if (is_of_the_call(*option)) continue;
    EXPECT_THAT(defaults, HasSubstr(option->get_single_name() + " = "));
  }
  TrainCommand fresh;
  write_file(folder_ / "none.toml", defaults);
  take_config(fresh.command, {.file = folder_ / "none.toml"});
  EXPECT_EQ(config_text(fresh.command), defaults);
}

}  // namespace
}  // namespace convoy::test
