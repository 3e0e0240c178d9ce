// The threads of the CPU backend: as many as OpenMP gives, and what control groups allow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/backend/cpu/threads.h"
#include "tests/temporary_folder.h"

namespace convoy::cpu {
namespace {

class ProcessorQuota : public testing::Test {
 protected:
  /// Writes a file below the place where control groups are mounted.
  void mounted(const std::string& file, const std::string& content) {
    const std::filesystem::path path = folder_.path() / "mount" / file;
    std::filesystem::create_directories(path.parent_path());
    write_file(path, content);
  }

  std::optional<double> quota(const std::string& groups) {
    write_file(folder_ / "groups", groups);
    return processor_quota(folder_ / "groups", folder_ / "mount");
  }

  TemporaryFolder folder_;
};

TEST_F(ProcessorQuota, OfVersion2IsTheLeastFromTheGroupUpwards) {
  mounted("a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), std::nullopt);
  mounted("a/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 1.5);
  mounted("a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 0.5);
  EXPECT_EQ(quota("0::/a\n"), 1.5);
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
  mounted("cpu.max", "400000 200000\n");  // a container's own root, under the host's path
  EXPECT_EQ(quota("0::/docker/5f\n"), 2.0);
}

TEST_F(ProcessorQuota, OfVersion1IsInTwoFiles) {
  mounted("cpu/x/cpu.cfs_quota_us", "-1\n");
  mounted("cpu/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("2:memory:/y\n1:cpu,cpuacct:/x\n0::/\n"), std::nullopt);
  mounted("cpu/x/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(quota("2:memory:/y\n1:cpu,cpuacct:/x\n0::/\n"), 3.0);
  EXPECT_EQ(quota("1:cpuset:/x\n"), std::nullopt) << "another controller";
}

TEST_F(ProcessorQuota, NonsenseIsNoQuota) {
  EXPECT_EQ(processor_quota(folder_ / "none", folder_ / "none"), std::nullopt);
  mounted("cpu.max", "much\n");
  EXPECT_EQ(quota("0::/\nno colons\n1:\n"), std::nullopt);
}

TEST(Threads, AreSettledToTheSameNumberAgain) {
  const Threads first = settle_threads();
  EXPECT_GE(first.given, 1);
  EXPECT_LE(first.given, first.asked);
  EXPECT_EQ(settle_threads().given, first.given);
}

}  // namespace
}  // namespace convoy::cpu
