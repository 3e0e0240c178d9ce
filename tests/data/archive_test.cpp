#include "engine/data/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class UnpackTest : public testing::Test {
 protected:
  void unpack_all(const std::string& content) {
    unpack(folder_.write("x.tar.gz", content), {{"d/a.bin", 5}, {"d/b.bin", 3}}, folder_ / "out");
  }
  std::string refusal(const std::string& content) {
    return error_of([&] { unpack_all(content); });
  }
  std::vector<std::string> unpacked() const {
    std::vector<std::string> names;
    if (!fs::exists(folder_ / "out")) return names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "out")) {
      if (!entry.is_directory()) names.push_back(fs::relative(entry.path(), folder_ / "out").string());
    }
    return names;
  }

  TemporaryFolder folder_;
};

TEST_F(UnpackTest, WritesTheMembersAndNothingElse) {
  unpack_all(tar_gz({{"d/readme.html", "hello"},
                     {"d/a.bin", "aaaaa"},
                     {"../evil", "x"},
                     {(folder_ / "absolute").string(), "x"},
                     {"d/../d/b.bin", "no"},
                     {"d/b.bin", "bbb"}}));
  EXPECT_EQ(read_file(folder_ / "out/d/a.bin"), "aaaaa");
  EXPECT_EQ(read_file(folder_ / "out/d/b.bin"), "bbb");
  EXPECT_EQ(unpacked().size(), 2u);
  EXPECT_FALSE(fs::exists(folder_ / "evil"));
  EXPECT_FALSE(fs::exists(folder_ / "absolute"));
}

TEST_F(UnpackTest, RefusesLinksInPlaceOfMembers) {
  const auto victim = folder_.write("victim", "untouched");
  EXPECT_THAT(refusal(tar_gz({{"d/a.bin", "", victim.string()}})),
              HasSubstr("d/a.bin is not a regular file"));
  EXPECT_THAT(refusal(tar_gz({{"d/a.bin", "", "", victim.string()}})),
              HasSubstr("d/a.bin is not a regular file"));
  EXPECT_EQ(read_file(victim), "untouched");
  EXPECT_TRUE(unpacked().empty());
}

TEST_F(UnpackTest, RefusesWrongSizesAndMissingMembers) {
  EXPECT_THAT(refusal(tar_gz({{"d/a.bin", "aaaaaa"}})), HasSubstr("d/a.bin has 6 bytes in it, not 5"));
  EXPECT_THAT(refusal(tar_gz({{"d/a.bin", "aaaa"}})), HasSubstr("d/a.bin has 4 bytes in it, not 5"));
  EXPECT_THAT(refusal(tar_gz({{"d/a.bin", "aaaaa"}})), HasSubstr("d/b.bin is missing"));
}

TEST_F(UnpackTest, RefusesACorruptArchiveAndLeavesNoHalfFile) {
  EXPECT_THAT(refusal("no archive at all"), HasSubstr("x.tar.gz: not a whole tar.gz archive"));
  const std::string whole = tar_gz({{"d/b.bin", "bbb"}, {"d/a.bin", "aaaaa"}});
  EXPECT_THAT(refusal(whole.substr(0, whole.size() / 2)), HasSubstr("not a whole tar.gz archive"));
  for (const std::string& name : unpacked()) EXPECT_THAT(name, testing::EndsWith(".bin"));
}

}  // namespace
}  // namespace convoy
