#include "engine/data/csv.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/error.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class CsvTest : public testing::Test {
 protected:
  Dataset read(const std::string& content, const LoadOptions& options = {}) {
    const auto dataset = read_csv(folder_.write("t.csv", content), options);
    EXPECT_TRUE(dataset) << content;
    return dataset.value_or(Dataset());
  }

  std::string refusal(const std::string& content, const LoadOptions& options = {}) {
    return error_of([&] { read_csv(folder_.write("t.csv", content), options); });
  }

  TemporaryFolder folder_;
};

TEST_F(CsvTest, ReadsKagglesDigits) {
  const Dataset dataset = read("label,pixel0,pixel1,pixel2,pixel3\n7,0,255,3,4\n1,5,6,7,8\n");
  EXPECT_EQ(dataset.image, Shape({1, 2, 2}));
  EXPECT_THAT(dataset.labels, ElementsAre(7, 1));
  EXPECT_THAT(dataset.pixels, ElementsAre(0, 255, 3, 4, 5, 6, 7, 8));
}

TEST_F(CsvTest, TakesTheFormsThatThereAre) {
  const auto expect_same = [&](const std::string& content) {
    const Dataset dataset = read(content);
    EXPECT_THAT(dataset.labels, ElementsAre(7, 1)) << content;
    EXPECT_THAT(dataset.pixels, ElementsAre(0, 255, 3, 4, 5, 6, 7, 8)) << content;
  };
  expect_same("7,0,255,3,4\n1,5,6,7,8\n");                             // no names
  expect_same("7,0,255,3,4\r\n1,5,6,7,8");                             // Windows, and no end of line
  expect_same("\n7,0,255,3,4\n\n1,5,6,7,8\n\n");                       // empty rows
  expect_same("\xef\xbb\xbflabel,a,b,c,d\n7,0,255,3,4\n1,5,6,7,8\n");  // Excel's mark
  expect_same("\"label\",\"a\",\"b\",\"c\",\"d\"\n7,\"0\",255,3,4\n1,5,6,7,8\n");  // R
  expect_same("a,b,c,d,Class\n0,255,3,4,7\n5,6,7,8,1\n");                          // OpenML
  expect_same(",label,a,b,c,d\n0,7,0,255,3,4\n1,1,5,6,7,8\n");                     // pandas' index
  expect_same("ID,label,a,b,c,d\n0,7,0,255,3,4\n1,1,5,6,7,8\n");
  expect_same("a, b, c, d, Label \n0, 255, 3, 4, 7\n5,6,7,8,1\n");  // blanks
  expect_same("7,0,255,3,4\r1,5,6,7,8\r");                          // an old Macintosh
  expect_same("7.0, 0.0, 255.0,3.0,4\n1,5,6,7,8\n");
  expect_same(gzip("7,0,255,3,4\n1,5,6,7,8\n"));
}

TEST_F(CsvTest, PixelsFrom0To1AreWidened) {
  EXPECT_THAT(read("1,0,0.5,1,0.25\n").pixels, ElementsAre(0, 128, 255, 64));
  EXPECT_THAT(read("1,0,1,1,0\n0,0.5,0,1,0\n").pixels, ElementsAre(0, 255, 255, 0, 128, 0, 255, 0));
  EXPECT_THAT(read("1,0.0,1.0,1.0,0.0\n").pixels, ElementsAre(0, 255, 255, 0));
  EXPECT_THAT(read("1,0,1,1,0\n").pixels, ElementsAre(0, 1, 1, 0)) << "whole numbers are bytes";
  EXPECT_THAT(refusal("1,0,2,1,0\n1,0.5,0,0,0\n"), HasSubstr("t.csv: line 2, column 2: a pixel has to be"));
  EXPECT_THAT(refusal("1,0.5,2,1,0\n"), HasSubstr("line 1, column 3: a pixel has to be"));
}

TEST_F(CsvTest, TheShapeIsASquareOrAsAsked) {
  EXPECT_EQ(read("1,1,2,3,4,5,6\n", {.height = 2, .width = 3}).image, Shape({1, 2, 3}));
  EXPECT_EQ(read("1,1,2,3,4,5,6\n", {.height = 1, .width = 2}).image, Shape({3, 1, 2}));
  EXPECT_EQ(read("1,1,2,3,4\n", {.channels = 1, .height = 2, .width = 2}).image, Shape({1, 2, 2}));
  EXPECT_THAT(refusal("1,1,2,3,4,5,6\n"),
              AllOf(HasSubstr("t.csv: line 1"), HasSubstr("rows of 6 pixels"), HasSubstr("--image-size")));
  EXPECT_THAT(refusal("1,1,2,3,4\n", {.channels = 3, .height = 2, .width = 2}),
              HasSubstr("rows of 4 pixels are no images of 2 x 2 pixels in 3 channels"));
}

TEST_F(CsvTest, SaysWhereItIsWrong) {
  EXPECT_THAT(refusal(""), HasSubstr("t.csv: line 1, column 0: there is no row"));
  EXPECT_THAT(refusal("label,a,b,c,d\n"), HasSubstr("there is no row with numbers"));
  EXPECT_THAT(refusal("1\n"), HasSubstr("one column alone: fields are to be separated by commas"));
  EXPECT_THAT(refusal("1;2;3\n"), HasSubstr("fields are separated by ';'; separate them by commas"));
  EXPECT_THAT(refusal("1,1,2,3,4\n1,1,2,3\n"),
              HasSubstr("line 2, column 4: the row ends with 4 columns, the first one has 5"));
  EXPECT_THAT(refusal("1,1,2,3,4\n1,1,2,3,4,5\n"),
              HasSubstr("line 2, column 6: the row ends with 6 columns"));
  EXPECT_THAT(refusal("1,1,2,3,256\n"), HasSubstr("line 1, column 5: a pixel has to be"));
  EXPECT_THAT(refusal("1,1,2,3,-1\n"), HasSubstr("column 5: a pixel"));
  EXPECT_THAT(refusal("1,1,2,3,4\n1,1,,3,4\n"), HasSubstr("line 2, column 3: a pixel"));
  for (const char* label : {"256", "-1", "1.5", "cat", "nan", "1e300", ""}) {
    EXPECT_THAT(refusal(fmt::format("label,a,b,c,d\n0,1,2,3,4\n{},1,2,3,4\n", label)),
                HasSubstr("line 3, column 1: a label has to be a whole number from 0 to 255"))
        << label;
  }
  EXPECT_THAT(refusal("label,class,a\n1,1,1\n"), HasSubstr("several columns"));
  EXPECT_THAT(refusal("1,\"2\n"), HasSubstr("the quotes are not closed"));
  EXPECT_THAT(refusal("1,\"2\"3\n"), HasSubstr("no comma behind the quotes"));
  EXPECT_THAT(refusal(std::string(300, 'x') + ",1\n"), HasSubstr("more than 256 characters"));
  EXPECT_THAT(refusal(gzip("1,1,2,3,4\n").substr(0, 20)), HasSubstr("truncated gzip data"));
}

TEST_F(CsvTest, NamesTheSeparatorTheEncodingAndTheColumnTooMany) {
  std::string digits = "label";
  for (int i = 0; i < 784; ++i) digits += ";pixel" + std::to_string(i);
  EXPECT_THAT(refusal(digits + "\n"), HasSubstr("fields are separated by ';'; separate them by commas"));
  EXPECT_THAT(refusal("1\t2\t3\n"), HasSubstr("t.csv: line 1, column 1: fields are separated by tabs"));
  for (const std::string& wide : {std::string("\xff\xfe"
                                              "1\0,\0"
                                              "2\0",
                                              8),
                                  std::string("\xfe\xff\0"
                                              "1\0,\0"
                                              "2",
                                              8),
                                  std::string("1\0,\0"
                                              "2\0",
                                              6),
                                  std::string("\0"
                                              "1\0,\0"
                                              "2",
                                              6)}) {
    EXPECT_THAT(refusal(wide), HasSubstr("t.csv: the table is in UTF-16; save it in UTF-8: iconv"));
  }
  EXPECT_THAT(refusal("number,label,a,b,c,d\n0,7,0,255,3,4\n"),
              HasSubstr("rows of 5 pixels are one more than a square's: remove the column that is neither a "
                        "label nor a pixel, or call it id in the first row"));
}

TEST_F(CsvTest, AFolderHasBothHalvesOrIsDivided) {
  std::vector<std::string> said;
  LoadOptions options;
  options.say = [&](const std::string& line) { said.push_back(line); };
  folder_.write("kaggle/train.csv", "label,a,b,c,d\n0,1,1,1,1\n0,2,2,2,2\n1,3,3,3,3\n1,4,4,4,4\n");
  folder_.write("kaggle/test.csv", "a,b,c,d\n1,1,1,1\n");
  folder_.write("kaggle/sample_submission.csv", "ImageId,Label\n1,0\n");
  EXPECT_EQ(recognise(folder_ / "kaggle"), "csv");
  EXPECT_THAT(error_of([&] { load("csv", folder_ / "kaggle", options); }),
              HasSubstr("train.csv has no test half"));
  ASSERT_EQ(said.size(), 1u);
  EXPECT_THAT(said[0], HasSubstr("kaggle/test.csv has no labels and is left out"));
  options.split = 0.5;
  const DatasetPair divided = load("csv", folder_ / "kaggle", options);
  EXPECT_EQ(divided.train.count(), 2);
  EXPECT_EQ(divided.test.count(), 2);
  EXPECT_EQ(divided.train.classes, 2);
  EXPECT_THAT(
      said.back(),
      HasSubstr("train.csv: 2 of 4 images are held out for the test, 0.5 of each class by the seed 1"));

  folder_.write("both/mnist_train.csv.gz", gzip("0,1\n2,2\n1,3\n"));
  folder_.write("both/mnist_test.csv", "1,9\n");
  const DatasetPair pair = load("csv", folder_ / "both");
  EXPECT_EQ(pair.train.count(), 3);
  EXPECT_THAT(pair.test.pixels, ElementsAre(9));
  EXPECT_EQ(pair.test.classes, 3);
  EXPECT_THROW(load("csv", folder_ / "both", options), UsageError) << "it has a test half";

  EXPECT_EQ(load("csv", folder_ / "kaggle/train.csv", options).test.count(), 2) << "a file by itself";
  folder_.write("two/a_train.csv", "");
  folder_.write("two/b_train.csv", "");
  EXPECT_THAT(error_of([&] { load("csv", folder_ / "two", options); }),
              HasSubstr("are both there; name one file"));
}

}  // namespace
}  // namespace convoy
