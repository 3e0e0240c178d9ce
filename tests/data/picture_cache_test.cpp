// Decoded pictures that are kept for the next start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>

#include "tests/data/pictures.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

class PictureCacheTest : public PicturesTest {
 protected:
  PictureCacheTest() {
    options_.cache = folder_ / "cache/pictures";
    write_halves();
  }

  /// Whether the pictures were decoded anew.
  bool decodes() {
    said_.clear();
    const DatasetPair pair = pets();
    EXPECT_EQ(pair.train.count(), 3);
    EXPECT_EQ(pair.test.pixels.size(), 8u);
    return !said_.empty();
  }

  fs::path only_file() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(options_.cache)) files.push_back(entry.path());
    EXPECT_EQ(files.size(), 1u);
    return files.empty() ? fs::path() : files[0];
  }
};

TEST_F(PictureCacheTest, DecodedPicturesAreKept) {
  const DatasetPair first = pets();
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], AllOf(HasSubstr("5 pictures of "), HasSubstr("made into [1, 2, 2] in"),
                              HasSubstr("kept in " + only_file().string())));
  said_.clear();
  const DatasetPair again = pets();
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(again.train.pixels, first.train.pixels);
  EXPECT_EQ(again.test.labels, first.test.labels);
  EXPECT_EQ(again.train.image, first.train.image);
}

TEST_F(PictureCacheTest, AnotherFileOrFormatIsDecodedAnew) {
  EXPECT_TRUE(decodes());
  EXPECT_FALSE(decodes());
  folder_.write("pets/train/cat/a.pgm", grey(2, 2, 12));
  fs::last_write_time(folder_ / "pets/train/cat/a.pgm",
                      fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_TRUE(decodes()) << "its time is another";
  EXPECT_FALSE(decodes());
  EXPECT_FALSE(only_file().empty()) << "the new one took the old one's place";
  fs::rename(folder_ / "pets/train/cat/a.pgm", folder_ / "pets/train/cat/z.pgm");
  EXPECT_TRUE(decodes()) << "its name is another";
  options_.channels = 1;
  EXPECT_TRUE(decodes());
  options_.crop = true;
  EXPECT_TRUE(decodes());
  EXPECT_FALSE(decodes());
}

TEST_F(PictureCacheTest, AFileOfTheSameSizeAndTimeIsSeenToBeAnother) {
  EXPECT_TRUE(decodes());
  const fs::path file = folder_ / "pets/train/cat/a.pgm";
  const auto time = fs::last_write_time(file);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // file systems count in ticks
  folder_.write("pets/train/cat/a.pgm", grey(2, 2, 13));
  fs::last_write_time(file, time);
  EXPECT_TRUE(decodes());
  EXPECT_THAT(pets().train.pixels, Contains(13));
}

TEST_F(PictureCacheTest, AFullDiskIsNoError) {
  // A limit on the size of files stands in for it.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{.rlim_cur = 100, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const DatasetPair pair = pets();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(pair.train.count(), 3);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], AllOf(HasSubstr("and not kept: cannot write "), HasSubstr("File too large")));
  EXPECT_TRUE(fs::is_empty(options_.cache)) << "nothing half-written is left";
}

TEST_F(PictureCacheTest, SeveralAtOnceDoNotDisturbEachOther) {
  const std::vector<std::uint8_t> pixels = pets().train.pixels;
  LoadOptions silent;
  silent.cache = options_.cache;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round) {
        std::error_code ignored;                            // another may be writing there
        if (i == 0) fs::remove_all(silent.cache, ignored);  // so that it has to be made again
        EXPECT_EQ(load("pictures", folder_ / "pets", silent).train.pixels, pixels);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pets().train.pixels, pixels);
}

TEST_F(PictureCacheTest, AFoldersNameMayBeAsLongAsAFiles) {
  const std::string name(250, 'x');
  fs::rename(folder_ / "pets", folder_ / name);
  load("pictures", folder_ / name, options_);
  EXPECT_THAT(said_.at(0), HasSubstr("kept in " + only_file().string()));
}

TEST_F(PictureCacheTest, ADamagedCacheIsMadeAnew) {
  EXPECT_TRUE(decodes());
  const fs::path file = only_file();
  const std::string whole = read_file(file);
  const auto expect_anew = [&](const std::string& content, const char* what) {
    folder_.write("cache/pictures/" + file.filename().string(), content);
    EXPECT_TRUE(decodes()) << what;
    EXPECT_EQ(read_file(file), whole) << what;
  };
  expect_anew("", "empty");
  expect_anew(whole.substr(0, whole.size() - 1), "truncated");
  expect_anew(whole.substr(0, 20), "truncated in the header");
  expect_anew(whole + "x", "too long");
  for (const std::size_t at : {std::size_t{0}, std::size_t{16}, std::size_t{24}, std::size_t{32},
                               std::size_t{40}, std::size_t{60}, std::size_t{100}, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    expect_anew(damaged, "one bit is another");
  }
}

TEST_F(PictureCacheTest, WhatCannotBeKeptIsNoError) {
  folder_.write("cache", "a file where the folder should be");
  said_.clear();
  EXPECT_EQ(pets().train.count(), 3);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr("and not kept: cannot"));
}

}  // namespace
}  // namespace convoy
