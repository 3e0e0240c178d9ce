// Folders of pictures: what is listed, decoded and refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "convoy/catalog.h"
#include "convoy/error.h"
#include "engine/data/pictures/picture.h"
#include "engine/data/pictures/picture_tree.h"
#include "tests/data/pictures.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

TEST_F(PicturesTest, FoldersAreTheClasses) {
  for (const char* test : {"test", "val", "Valid"}) {
    fs::remove_all(folder_ / "pets");
    write_halves(test);
    EXPECT_EQ(recognise(folder_ / "pets"), "pictures");
    const DatasetPair pair = pets();
    EXPECT_THAT(pair.train.class_names, ElementsAre("cat", "dog"));
    EXPECT_EQ(pair.train.classes, 2);
    EXPECT_EQ(pair.train.image, Shape({1, 2, 2}));
    EXPECT_EQ(pair.train.count(), 3);
    EXPECT_EQ(pair.test.count(), 2);
    for (const Dataset* half : {&pair.train, &pair.test}) {
      for (std::size_t i = 0; i < half->labels.size(); ++i) {
        EXPECT_EQ(half->pixels[4 * i] / 10, half->labels[i] == 0 ? 1 : 2) << "each label is its picture's";
      }
    }
  }
}

TEST_F(PicturesTest, TheFirstOfThemAreOfEveryClass) {
  for (int i = 0; i < 50; ++i) {
    folder_.write(fmt::format("pets/train/cat/{}.pgm", i), grey(1, 1, 10));
    folder_.write(fmt::format("pets/train/dog/{}.pgm", i), grey(1, 1, 20));
  }
  folder_.write("pets/test/cat/1.pgm", grey(1, 1, 10));
  folder_.write("pets/test/dog/1.pgm", grey(1, 1, 10));
  const Dataset first = take(pets().train, 20);
  EXPECT_GT(std::ranges::count(first.labels, 0), 3);
  EXPECT_GT(std::ranges::count(first.labels, 1), 3);
  EXPECT_EQ(pets().train.labels, pets().train.labels);
}

TEST_F(PicturesTest, OneTreeIsDivided) {
  for (int i = 0; i < 10; ++i) {
    folder_.write(fmt::format("pets/cat/{}.pgm", i), grey(1, 1, 10));
    folder_.write(fmt::format("pets/dog/{}.pgm", i), grey(1, 1, 20));
  }
  EXPECT_THAT(refusal(), AllOf(HasSubstr("pets has no test half"), HasSubstr("--split 0.2")));
  EXPECT_THROW(pets(), UsageError);
  options_.split = 0.2;
  const DatasetPair pair = pets();
  EXPECT_EQ(pair.train.count(), 16);
  EXPECT_EQ(std::ranges::count(pair.test.labels, 0), 2);
  EXPECT_EQ(std::ranges::count(pair.test.labels, 1), 2);
  EXPECT_THAT(said_.back(),
              HasSubstr("pets: 4 of 20 images are held out for the test, 0.2 of each class by the seed 1"));
  write_halves();
  fs::remove_all(folder_ / "pets/cat");
  fs::remove_all(folder_ / "pets/dog");
  EXPECT_THAT(refusal(), HasSubstr("pets has a test half; leave out --split"));
}

TEST_F(PicturesTest, BecomeTheSizeAndTheChannelsThatAreAsked) {
  folder_.write("pets/train/cat/wide.pgm", pgm(4, 2, std::string("\0\0\xc8\xc8\0\0\xc8\xc8", 8)));
  folder_.write("pets/train/dog/red.ppm", coloured(3, 5, std::string("\xff\0\0", 3)));
  folder_.write("pets/test/cat/a.pgm", grey(1, 1, 7));
  folder_.write("pets/test/dog/a.pgm", grey(9, 9, 8));
  options_.channels = 3, options_.height = 2, options_.width = 2;
  const auto of = [&](const Dataset& half, std::uint8_t label) {
    const auto at = std::ranges::find(half.labels, label) - half.labels.begin();
    const auto size = half.image.count();
    return std::vector(half.pixels.begin() + at * size, half.pixels.begin() + (at + 1) * size);
  };
  const Dataset colour = pets().train;
  EXPECT_EQ(colour.image, Shape({3, 2, 2}));
  EXPECT_THAT(of(colour, 0), ElementsAre(0, 200, 0, 200, 0, 200, 0, 200, 0, 200, 0, 200));
  EXPECT_THAT(of(colour, 1), ElementsAre(255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0));
  options_.channels = 1;
  EXPECT_THAT(of(pets().train, 1), Each(76)) << "the luma of red";
  EXPECT_THAT(of(pets().test, 1), Each(8));
  options_.crop = true;
  const Dataset cut = pets().train;
  EXPECT_TRUE(cut.cropped);
  EXPECT_THAT(of(cut, 0), ElementsAre(0, 200, 0, 200)) << "the middle";
  EXPECT_EQ(measure_preparation(cut, "pictures").framing, Framing::crop);
  EXPECT_THAT(measure_preparation(cut, "pictures").classes, ElementsAre("cat", "dog"));
}

TEST(Cropped, TakesTheMiddle) {
  Picture wide(1, 2, 5);
  for (std::size_t x = 0; x < 5; ++x) wide.at(0, 0, x) = wide.at(0, 1, x) = static_cast<float>(x);
  const Picture square = cropped(wide, 10, 10);
  EXPECT_EQ(square.height, 2u);
  EXPECT_EQ(square.width, 2u);
  EXPECT_EQ(square.at(0, 0, 0), 1.0f);
  const Picture tall = cropped(transposed(wide), 10, 10);
  EXPECT_EQ(tall.height, 2u);
  EXPECT_EQ(tall.at(0, 0, 0), 1.0f);
  EXPECT_EQ(cropped(wide, 4, 10).width, 5u) << "it has these proportions";
  EXPECT_EQ(cropped(Picture(1, 1, 1000), 4096, 1).width, 1u);
  EXPECT_EQ(cropped(Picture(1, 1000, 1), 1, 4096).height, 1u);
}

TEST_F(PicturesTest, WithoutASizeAllMustHaveOne) {
  write_halves();
  folder_.write("pets/train/dog/odd.pgm", grey(3, 2, 20));
  EXPECT_THAT(refusal(), AllOf(HasSubstr("odd.pgm"), HasSubstr("--image-size 32x32")));
  folder_.write("pets/train/dog/odd.pgm", coloured(2, 2, "abc"));
  EXPECT_THAT(refusal(), AllOf(HasSubstr("has colours"), HasSubstr("--image-size 3x2x2, or 1x2x2 for grey")));
  options_.channels = 1;
  EXPECT_EQ(pets().train.count(), 4);
  for (const auto& [channels, height, width] : {std::tuple{2, 8, 8}, {0, 8, 0}, {0, -1, 8}, {0, 8, 1001}}) {
    options_.channels = channels, options_.height = height, options_.width = width;
    EXPECT_THROW(pets(), UsageError) << channels << height << width;
  }
}

TEST_F(PicturesTest, RealFormatsAreRead) {
  write_halves();
  const fs::path corpus = "tests/fuzz/corpus/picture";
  fs::copy(corpus / "rgba.png", folder_ / "pets/train/cat/rgba.png");
  fs::copy(corpus / "progressive.jpg", folder_ / "pets/train/dog/progressive.jpg");
  fs::copy(corpus / "grey.bmp", folder_ / "pets/train/dog/grey.bmp");
  options_.height = options_.width = 4;
  options_.channels = 3;
  EXPECT_EQ(pets().train.count(), 6);
}

TEST_F(PicturesTest, ErrorsNameTheFile) {
  write_halves();
  const fs::path text = folder_.write("pets/train/cat/notes.txt", "these are cats");
  EXPECT_THAT(refusal(), HasSubstr(text.string() + ": not a picture"));
  fs::remove(text);
  const fs::path broken = folder_.write("pets/test/dog/broken.png", "\x89PNG\r\n\x1a\n");
  EXPECT_THAT(refusal(), HasSubstr(broken.string() + ": "));
  fs::remove(broken);
  fs::create_directories(folder_ / "pets/train/emu");
  EXPECT_THAT(refusal(), HasSubstr("pets/train/emu holds no picture; put some in"));
  folder_.write("pets/train/emu/a.pgm", grey(2, 2, 1));
  EXPECT_THAT(refusal(),
              HasSubstr("pets/test/emu is missing: " + (folder_ / "pets/train/emu").string() + " is there"));
  fs::rename(folder_ / "pets/train/emu", folder_ / "pets/test/emu");
  EXPECT_THAT(refusal(), HasSubstr("pets/train/emu is missing"));
  fs::remove_all(folder_ / "pets/test/emu");
  folder_.write("pets/train/loose.jpg", "x");
  EXPECT_THAT(refusal(), HasSubstr("loose.jpg lies beside the folders of the classes"));
  fs::remove(folder_ / "pets/train/loose.jpg");
  fs::remove_all(folder_ / "pets/train/dog");
  EXPECT_THAT(refusal(), HasSubstr("pets/train holds one folder, cat: each class has to have"));
  fs::create_directories(folder_ / "pets/train/\xff\xfe");
  EXPECT_THAT(refusal(), HasSubstr("whose name is not UTF-8"));
  for (int i = 0; i < 257; ++i) fs::create_directories(folder_ / fmt::format("many/{}", i));
  folder_.write("many/1/a.pgm", grey(1, 1, 1));
  EXPECT_THAT(error_of([&] { load("pictures", folder_ / "many", options_); }),
              HasSubstr("257 folders: 256 classes are the most"));
  EXPECT_THAT(error_of([&] { load("pictures", folder_ / "none", options_); }),
              HasSubstr("none cannot be read"));
}

TEST_F(PicturesTest, WhatSystemsLeaveThereIsNoPicture) {
  write_halves();
  folder_.write("pets/train/cat/.DS_Store", "x");
  folder_.write("pets/train/.ipynb_checkpoints/a.png", "x");
  folder_.write("pets/train/Thumbs.db", "x");
  folder_.write("pets/README.md", "x");
  folder_.write("pets/val/cat/a.pgm", grey(2, 2, 1));
  EXPECT_EQ(pets().train.count(), 3);
  EXPECT_THAT(said_[0], AllOf(HasSubstr("pets/test is the test half"), HasSubstr("pets/val is left out")));
}

TEST_F(PicturesTest, TheClassesOfATrainedModelAreCompared) {
  write_halves();
  options_.classes = {"cat", "dog"};
  EXPECT_EQ(pets().test.count(), 2);
  options_.classes = {"cat", "emu"};
  EXPECT_THAT(refusal(), HasSubstr("the folder dog is no class of the model, which knows cat, emu"));
  options_.classes = {"cat", "dog", "emu"};
  EXPECT_THAT(refusal(), HasSubstr("2 folders, but the model has 3 classes"));
}

}  // namespace
}  // namespace convoy
