// Folders of pictures as people have them, and the formats of the pictures in them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/data/pictures/picture_file.h"
#include "tests/data/pictures.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

TEST_F(PicturesTest, AClassMayBeCalledAsAHalf) {
  for (const char* name : {"a", "b"}) {
    folder_.write(fmt::format("pets/car/{}.pgm", name), grey(2, 2, 10));
    folder_.write(fmt::format("pets/train/{}.pgm", name), grey(2, 2, 20));
  }
  options_.split = 0.5;
  const DatasetPair pair = pets();
  EXPECT_THAT(pair.train.class_names, ElementsAre("car", "train"));
  EXPECT_EQ(pair.train.count(), 2);
}

TEST_F(PicturesTest, AHalfWithoutClassesIsLeftOut) {
  write_halves("val");
  folder_.write("pets/test/unlabelled.pgm", grey(2, 2, 1));
  EXPECT_EQ(pets().test.count(), 2) << "those of val";
  EXPECT_THAT(said_[0], HasSubstr("pets/test holds no folders of classes and is left out"));
}

TEST_F(PicturesTest, IsRecognisedHoweverDeepThePicturesLie) {
  folder_.write("pets/cat/2019/may/a.pgm", grey(2, 2, 1));
  EXPECT_EQ(recognise(folder_ / "pets"), "pictures");
  folder_.write("train/train/cat/2019/a.pgm", grey(2, 2, 1));
  EXPECT_EQ(recognise(folder_ / "train"), "pictures");
  folder_.write("texts/cat/a.txt", "x");
  EXPECT_EQ(recognise(folder_ / "texts"), std::nullopt);
  folder_.write("flat/a.pgm", grey(2, 2, 1));
  EXPECT_EQ(recognise(folder_ / "flat"), std::nullopt);
  folder_.write("deep/1/2/3/4/5/6/7/8/9/a.pgm", grey(2, 2, 1));
  EXPECT_EQ(recognise(folder_ / "deep"), std::nullopt) << "somewhere the search has to end";
}

TEST_F(PicturesTest, LinksMayLeadToClassesButNotInACircle) {
  write_halves();
  fs::rename(folder_ / "pets/train/cat", folder_ / "elsewhere");
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "pets/train/cat");
  EXPECT_EQ(pets().train.count(), 3);
  fs::create_directory_symlink(folder_ / "pets", folder_ / "elsewhere/again");
  EXPECT_EQ(recognise(folder_ / "pets"), "pictures");
  EXPECT_THAT(refusal(), HasSubstr("again is no regular file"));
  fs::remove(folder_ / "elsewhere/again");
  fs::create_symlink("itself.png", folder_ / "elsewhere/itself.png");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("itself.png cannot be read: "), HasSubstr("symbolic links")));
}

TEST_F(PicturesTest, WhatMayNotBeReadIsNamed) {
  write_halves();
  fs::permissions(folder_.path(), fs::perms{0755});
  const bool root = ::geteuid() == 0;  // who may read everything
  constexpr uid_t kNobody = 65534;
  const auto refused = [&](const fs::path& path) {
    fs::permissions(path, fs::perms::none);
    if (root && ::seteuid(kNobody) != 0) return std::string("root cannot become another user here");
    std::string message = refusal();
    if (root && ::seteuid(0) != 0) ADD_FAILURE() << "root again";
    fs::permissions(path, fs::is_directory(path) ? fs::perms{0755} : fs::perms{0644});
    return message;
  };
  const fs::path file = folder_ / "pets/train/cat/a.pgm", folder = folder_ / "pets/test/dog";
  const std::string of_file = refused(file);
  if (of_file.starts_with("root cannot")) GTEST_SKIP() << of_file;
  EXPECT_THAT(of_file, AllOf(HasSubstr(file.string()), HasSubstr("Permission denied")));
  EXPECT_THAT(refused(folder), HasSubstr(folder.string() + " cannot be read: Permission denied"));
}

TEST_F(PicturesTest, ASlashBehindTheFolderChangesNothing) {
  for (const char* name : {"a", "b"}) {
    folder_.write(fmt::format("pets/cat/{}.pgm", name), grey(2, 2, 10));
    folder_.write(fmt::format("pets/dog/{}.pgm", name), grey(2, 2, 20));
  }
  options_.split = 0.5;
  options_.cache = folder_ / "cache";
  pets();
  for (const char* folder : {"pets/", "pets/.", "pets/cat/.."}) {
    said_.clear();
    load("pictures", folder_ / folder, options_);
    EXPECT_THAT(said_, ElementsAre(StartsWith("pets: 2 of 4 images are held out"))) << folder << ": and kept";
  }
}

/// The bytes of a file of the corpus in red, green and blue.
std::vector<std::uint8_t> rgb(const std::string& name) {
  return bytes_of(opaque(decode_picture(read_picture_bytes("tests/fuzz/corpus/picture/" + name))));
}

TEST(PictureFormats, HaveTheColoursThatWereStored) {
  // 12 x 12 pixels: white, with two black columns 5 and 6 in the rows 2 to 9.
  for (const char* name : {"grey.png", "1-bit.png", "16-bits.png", "palette.png", "grey.pgm"}) {
    const auto pixels = rgb(name);
    ASSERT_EQ(pixels.size(), 3u * 144) << name;
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const std::size_t y = i % 144 / 12, x = i % 12;
      const bool black = y >= 2 && y < 10 && (x == 5 || x == 6);
      ASSERT_EQ(pixels[i], black ? 0 : 255) << name << " at " << y << ", " << x;
    }
  }
  const auto turned = rgb("turned.png");  // by its EXIF orientation: the columns are rows
  EXPECT_EQ(turned[5 * 12 + 2], 0);
  EXPECT_EQ(turned[2 * 12 + 5], 255);
  // Adobe's CMYK, of which 255 is no ink: cyan and black 228, magenta and yellow 128.
  const auto cmyk = rgb("cmyk.jpg");
  ASSERT_EQ(cmyk.size(), 3u * 64);
  for (std::size_t i = 0; i < cmyk.size(); ++i) ASSERT_EQ(cmyk[i], i < 64 ? 204 : 114) << i;
}

}  // namespace
}  // namespace convoy
