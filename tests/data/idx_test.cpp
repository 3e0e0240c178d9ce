#include "engine/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kImages = idx({2, 2, 3}, "abcdefghijkl");
const std::string kLabels = idx({2}, std::string("\1\0", 2));

class IdxTest : public testing::Test {
 protected:
  Dataset read(const std::string& images, const std::string& labels = kLabels, std::int64_t classes = 2) {
    return read_idx_pair(folder_.write("images", images), folder_.write("labels", labels), classes);
  }
  std::string refusal(const std::string& images, const std::string& labels = kLabels,
                      std::int64_t classes = 2) {
    return error_of([&] { read(images, labels, classes); });
  }

  TemporaryFolder folder_;
};

TEST_F(IdxTest, ReadsImagesAndLabels) {
  const Dataset dataset = read(kImages);
  EXPECT_EQ(dataset.image, Shape({1, 2, 3}));
  EXPECT_EQ(dataset.classes, 2);
  EXPECT_EQ(dataset.count(), 2);
  EXPECT_EQ(std::string(dataset.pixels.begin(), dataset.pixels.end()), "abcdefghijkl");
  EXPECT_THAT(dataset.labels, ElementsAre(1, 0));
  EXPECT_THAT(dataset.normalization.mean, ElementsAre(0.0f));
  EXPECT_THAT(dataset.normalization.std, ElementsAre(1.0f));
}

TEST_F(IdxTest, ReadsGzipWhateverItIsCalled) {
  EXPECT_EQ(read(gzip(kImages), gzip(kLabels)).pixels, read(kImages).pixels);
}

TEST_F(IdxTest, ReadsGzipOfSeveralMembers) {
  const std::string members = gzip(kImages.substr(0, 9)) + gzip("") + gzip(kImages.substr(9));
  EXPECT_EQ(read(members).pixels, read(kImages).pixels);
}

TEST_F(IdxTest, ReadsImagesOfSeveralChannels) {
  EXPECT_EQ(read(idx({2, 3, 1, 2}, "abcdefghijkl")).image, Shape({3, 1, 2}));
}

TEST_F(IdxTest, RefusesAnEmptyFile) {
  EXPECT_THAT(refusal(""), HasSubstr("images: is empty"));
  EXPECT_THAT(refusal(kImages, ""), HasSubstr("labels: is empty"));
  EXPECT_THAT(refusal(gzip("")), HasSubstr("images: is empty"));
}

TEST_F(IdxTest, RefusesAWrongMagicNumber) {
  EXPECT_THAT(refusal("\x89PNG....."), HasSubstr("not an IDX file: begins with 89 50"));
  std::string floats = kImages;
  floats[2] = '\x0d';
  EXPECT_THAT(refusal(floats), HasSubstr("type 0x0d; only unsigned bytes"));
  EXPECT_THAT(refusal(kLabels), HasSubstr("1 dimensions where images (3 or 4) belong"));
  EXPECT_THAT(refusal(kImages, kImages), HasSubstr("3 dimensions where labels (1) belong"));
  EXPECT_THAT(refusal(idx({1, 1, 1, 1, 1}, "a")), HasSubstr("5 dimensions"));
}

TEST_F(IdxTest, RefusesATruncatedFileAtEveryLength) {
  for (std::size_t length = 1; length < kImages.size(); ++length) {
    EXPECT_THAT(refusal(kImages.substr(0, length)), HasSubstr("images: truncated")) << length;
  }
  const std::string compressed = gzip(kImages);
  for (std::size_t length = 2; length < compressed.size(); ++length) {
    EXPECT_THAT(refusal(compressed.substr(0, length)), HasSubstr("truncated")) << length;
  }
  EXPECT_THAT(refusal(gzip(kImages.substr(0, 20))), HasSubstr("truncated: announces 12 bytes, has 4"));
}

TEST_F(IdxTest, RefusesMoreDataThanAnnounced) {
  EXPECT_THAT(refusal(kImages + "x"), HasSubstr("images: holds more data than its header announces"));
  EXPECT_THAT(refusal(gzip(kImages + "x")), HasSubstr("holds more data"));
  EXPECT_THAT(refusal(kImages, kLabels + "x"), HasSubstr("labels: holds more data"));
}

TEST_F(IdxTest, RefusesTrailingGarbageAfterGzip) {
  EXPECT_THAT(refusal(gzip(kImages) + "garbage"), HasSubstr("trailing bytes after the gzip data"));
  EXPECT_THAT(refusal(gzip(kImages) + std::string(8, '\0')), HasSubstr("trailing bytes after the gzip data"));
}

TEST_F(IdxTest, RefusesCorruptGzip) {
  std::string compressed = gzip(kImages);
  compressed[compressed.size() - 6] ^= 1;  // of the CRC
  EXPECT_THAT(refusal(compressed), HasSubstr("corrupt gzip data (incorrect data check)"));
}

TEST_F(IdxTest, RefusesDimensionsThatAreZeroOrOverflow) {
  EXPECT_THAT(refusal(idx({2, 0, 3}, "")), HasSubstr("dimension 1 is 0"));
  EXPECT_THAT(refusal(kImages, idx({0}, "")), HasSubstr("dimension 0 is 0"));
  EXPECT_THAT(refusal(idx({2, 0xffffffff, 0xffffffff, 0xffffffff}, "")), HasSubstr("overflow"));
}

TEST_F(IdxTest, RefusesCountsThatDiffer) {
  EXPECT_THAT(refusal(kImages, idx({3}, std::string("\0\0\0", 3))), HasSubstr("2 images, but"));
}

TEST_F(IdxTest, RefusesALabelThatIsNoClass) {
  EXPECT_THAT(refusal(kImages, idx({2}, std::string("\0\2", 2))),
              HasSubstr("labels: label 2 at position 1 is not below the 2 classes"));
}

TEST_F(IdxTest, RefusesWhatIsNoRegularFile) {
  const auto labels = folder_.write("labels", kLabels);
  EXPECT_THAT(error_of([&] { read_idx_pair(folder_ / "none", labels, 2); }),
              HasSubstr("none: No such file or directory"));
  EXPECT_THAT(error_of([&] { read_idx_pair(folder_.path(), labels, 2); }), HasSubstr("not a regular file"));
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { read_idx_pair(pipe, labels, 2); }), HasSubstr("not a regular file"));
}

std::int64_t peak_memory_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// 100 MiB of zeros in 100 kB, behind a header that announces one image of 6 bytes.
TEST_F(IdxTest, StopsABombThatInflatesToMoreThanItAnnounces) {
  const std::string bomb = gzip(idx({2, 2, 3}, std::string(100 << 20, '\0')));
  ASSERT_LT(bomb.size(), 200u << 10);
  EXPECT_THAT(refusal(bomb), HasSubstr("holds more data than its header announces"));
}

// A small file that announces gigabytes: refused before they are allocated.
TEST_F(IdxTest, DoesNotAllocateWhatASmallFileAnnounces) {
  const std::string announced = idx({2, 30000, 30000}, std::string(1000, '\0'));
  const std::int64_t before = peak_memory_kib();
  EXPECT_THAT(refusal(announced), HasSubstr("truncated: announces 1800000000 bytes"));
  EXPECT_THAT(refusal(gzip(announced)), HasSubstr("truncated: announces 1800000000 bytes"));
  EXPECT_THAT(refusal(idx({2, 70000, 70000}, "")), HasSubstr("announces 9800000000 bytes; more than"));
  // Large enough a file that the announced size is possible: memory still follows what is there.
  EXPECT_THAT(refusal(gzip(idx({2, 30000, 30000}, noise(4 << 20)))), HasSubstr("has 4194304"));
  // 64 MiB is the first allocation; ASan's shadow and quarantine add to it.
  EXPECT_LT(peak_memory_kib() - before, 512 << 10);
}

}  // namespace
}  // namespace convoy
