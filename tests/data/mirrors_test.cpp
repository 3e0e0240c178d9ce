#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "convoy/error.h"
#include "convoy/fetch.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::MatchesRegex;

TEST(RemoteFiles, AreComplete) {
  for (const std::string dataset : {"mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100"}) {
    const auto files = remote_files(dataset);
    EXPECT_EQ(files.size(), dataset.starts_with("cifar") ? 1u : 4u);
    std::set<std::string> checksums;
    for (const RemoteFile& file : files) {
      EXPECT_THAT(file.sha256, MatchesRegex("[0-9a-f]{64}"));
      EXPECT_GT(file.bytes, 0);
      EXPECT_GE(file.urls.size(), dataset.ends_with("mnist") && dataset != "kmnist" ? 2u : 1u);
      for (const std::string& url : file.urls) EXPECT_THAT(url, MatchesRegex("https?://.*/" + file.name));
      checksums.insert(file.sha256);
    }
    EXPECT_EQ(checksums.size(), files.size());
  }
  EXPECT_EQ(remote_files("cifar10")[0].members.size(), 6u);
  EXPECT_EQ(remote_files("cifar100")[0].members.size(), 2u);
  EXPECT_THAT(error_of([] { remote_files("qmnist"); }),
              testing::HasSubstr("https://github.com/facebookresearch/qmnist"));
  EXPECT_THROW(remote_files("imagenet"), UsageError);
}

TEST(RemoteFiles, MnistIsTheRealOne) {
  const char* folder = std::getenv("CONVOY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "CONVOY_DATA names no folder with MNIST";
  for (const RemoteFile& file : remote_files("mnist")) {
    const auto path = std::filesystem::path(folder) / file.name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    EXPECT_EQ(sha256_of(path), file.sha256);
    EXPECT_EQ(std::filesystem::file_size(path), static_cast<std::uintmax_t>(file.bytes));
  }
}

// FIPS 180-2, appendix B.1; and the digest of nothing.
TEST(Sha256, KnownAnswers) {
  const TemporaryFolder folder;
  EXPECT_EQ(sha256_of(folder.write("abc", "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of(folder.write("empty", "")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_THAT(error_of([&] { sha256_of(folder / "none"); }), testing::HasSubstr("No such file"));
}

}  // namespace
}  // namespace convoy
