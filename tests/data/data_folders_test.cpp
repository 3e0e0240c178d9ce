// Data folders as people have them: labels with gaps, folders below, files of other kinds.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/catalog.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
namespace fs = std::filesystem;

class DataFolderTest : public testing::Test {
 protected:
  DataFolderTest() { search_.allow_download = false; }

  TemporaryFolder folder_;
  DataSearch search_;
};

/// An image of each label, and a test image of label 1.
void write_labels(const TemporaryFolder& folder, const std::string& subfolder, const std::string& labels) {
  const auto count = static_cast<std::uint32_t>(labels.size());
  folder.write(subfolder + "/train-images-idx3-ubyte", idx({count, 1, 1}, std::string(count, 'x')));
  folder.write(subfolder + "/train-labels-idx1-ubyte", idx({count}, labels));
  folder.write(subfolder + "/t10k-images-idx3-ubyte", idx({1, 1, 1}, "x"));
  folder.write(subfolder + "/t10k-labels-idx1-ubyte", idx({1}, "\1"));
}

TEST_F(DataFolderTest, TellsOfAClassWithoutImages) {
  std::vector<std::string> told;
  const auto say = [&](const std::string& line) { told.push_back(line); };
  write_labels(folder_, "own", "\1\2\3\4\5\6\7\10\11\12");
  EXPECT_EQ(load("idx", folder_ / "own", {.say = say}).train.classes, 11);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0],
            (folder_ / "own/train-labels-idx1-ubyte").string() +
                ": label 10 at position 9 makes 11 classes, of which class 0 has no image; labels are to be "
                "counted from 0");
  told.clear();
  write_labels(folder_, "gap", std::string("\0\1\2\3\4\5\6\7\10\13", 10));
  EXPECT_EQ(load("idx", folder_ / "gap", {.say = say}).test.classes, 12);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(
      told[0],
      HasSubstr("label 11 at position 9 makes 12 classes, of which class 9 and 1 other have no image"));
  told.clear();
  write_labels(folder_, "whole", std::string("\0\1\2", 3));
  EXPECT_EQ(load("idx", folder_ / "whole", {.say = say}).train.classes, 3);
  EXPECT_TRUE(told.empty());
}

TEST_F(DataFolderTest, ALabelFarBeyondTheOthersIsAnError) {
  write_labels(folder_, "own", std::string("\0\1\2\3\4\377\5\6\7\10\11", 11));
  EXPECT_THAT(
      error_of([&] { load("idx", folder_ / "own"); }),
      HasSubstr(
          "own/train-labels-idx1-ubyte: label 255 at position 5 makes 256 classes, of which class 10 and 244 "
          "others have no image; correct that label, or number the classes from 0 without gaps"));
  write_labels(folder_, "test", std::string("\0\1\2", 3));
  folder_.write("test/t10k-labels-idx1-ubyte", idx({1}, "\20"));
  EXPECT_THAT(error_of([&] { load("idx", folder_ / "test"); }),
              HasSubstr("test/t10k-labels-idx1-ubyte: label 16 at position 0 makes 17 classes"));
}

TEST_F(DataFolderTest, GapsAmongDigitsNameMnistWhichTakesThem) {
  const auto write = [&](const std::string& folder, std::string_view begin, const std::string& test,
                         const std::string& labels) {
    for (const std::string& half : {std::string("train"), test}) {
      const std::string file = fmt::format("{}/{}{}", folder, begin, half);
      folder_.write(file + "-images-idx3-ubyte", idx({2, 1, 1}, "xy"));
      folder_.write(file + "-labels-idx1-ubyte", idx({2}, labels));
    }
    return folder_ / folder;
  };
  const std::string refusal = "correct that label, or number the classes from 0 without gaps";
  const fs::path digits = write("digits", "", "t10k", "\3\5");
  EXPECT_THAT(error_of([&] { load("idx", digits); }), EndsWith(refusal + ", or name --dataset mnist"));
  EXPECT_THAT(load("mnist", digits).train.labels, ElementsAre(3, 5));
  const fs::path letters = write("letters", "", "t10k", "\3\12");
  EXPECT_THAT(error_of([&] { load("idx", letters); }), EndsWith(refusal));
  const fs::path split = write("split", "emnist-digits-", "test", "\3\5");
  EXPECT_THAT(error_of([&] { load("idx", split); }), EndsWith(refusal));
}

TEST_F(DataFolderTest, FindsWhatTorchvisionAndKagglePutBelow) {
  write_idx_dataset(folder_, "root/MNIST/raw", "");
  write_idx_dataset(folder_, "root/FashionMNIST/raw", ".gz");
  for (const char* name : {"mnist", "fashion-mnist", "idx"}) {
    search_.explicit_folder = folder_ / "root";
    EXPECT_EQ(load(name, locate(name, search_).folder).train.count(), 2) << name;
  }
  search_.explicit_folder = folder_ / "root/MNIST";
  EXPECT_EQ(load("mnist", locate("mnist", search_).folder).train.count(), 2);
  write_idx_dataset(folder_, "flat", "");
  for (const auto& entry : fs::directory_iterator(folder_ / "flat")) {
    std::string name = entry.path().filename();
    name.replace(name.find("-idx"), 1, ".");
    fs::create_directories(folder_ / "kaggle" / name);
    fs::copy_file(entry.path(), folder_ / "kaggle" / name / name);
  }
  EXPECT_EQ(load("idx", folder_ / "kaggle").test.count(), 1);
}

TEST_F(DataFolderTest, SaysWhatLiesThereInstead) {
  const struct {
    const char* dataset;
    const char* file;
    const char* told;
  } cases[] = {
      {"cifar10", "a/cifar-10-batches-py/data_batch_1", "CIFAR-10's Python version; Convoy reads the binary"},
      {"cifar10", "b/cifar-10-batches-mat/data_batch_1.mat", "CIFAR-10's MATLAB version"},
      {"cifar10", "c/cifar-10-binary.tar.gz", "is not unpacked: run tar -xf "},
      {"cifar10", "d/cifar-10-python.tar.gz", "is CIFAR-10's Python version"},
      {"cifar10", "e/cifar-100-binary/train.bin", "is of CIFAR-100: name --dataset cifar100"},
      {"cifar10", "f/train-images-idx3-ubyte", "is an IDX file: name --dataset mnist, fashion-mnist or idx"},
      {"mnist", "g/data_batch_1.bin", "is of CIFAR-10: name --dataset cifar10"},
      {"mnist", "h/train.csv", "is a table: leave --dataset out, or name --dataset csv"},
      {"idx", "i/archive.zip", "is not unpacked: run unzip "},
      {"idx", "j/mnist.npz", "is NumPy's: leave --dataset out, or name --dataset npz"},
      {"idx", "k/cats/001.jpg", "is a picture: put those of each class into a folder of its own"}};
  for (const auto& [dataset, file, told] : cases) {
    const fs::path path = folder_.write(file, "x");
    const fs::path folder = folder_ / std::string(file).substr(0, 1);
    search_.explicit_folder = folder;
    EXPECT_THAT(error_of([&] { locate(dataset, search_); }),
                AllOf(HasSubstr("is missing"), HasSubstr(path.string() + " "), HasSubstr(told)));
  }
}

TEST_F(DataFolderTest, SaysWhatAFileIsInPlaceOfAFolder) {
  const std::pair<const char*, const char*> cases[] = {
      {"mnist.npz", "is NumPy's: leave --dataset out, or name --dataset npz"},
      {"train.csv.gz", "is a table: leave --dataset out, or name --dataset csv"},
      {"1.png", "is a picture: put those of each class into a folder of its own"},
      {"mnist.zip", "is not unpacked: run unzip "}};
  for (const auto& [file, told] : cases) {
    search_.explicit_folder = folder_.write(file, "x");
    EXPECT_THAT(error_of([&] { locate("mnist", search_); }),
                AllOf(HasSubstr("cannot be read: Not a directory; "), HasSubstr(told)));
  }
}

TEST_F(DataFolderTest, KmnistQmnistAndCifar100AreNamed) {
  write_idx_dataset(folder_, "root/KMNIST/raw", ".gz");
  search_.explicit_folder = folder_ / "root";
  EXPECT_EQ(load("kmnist", locate("kmnist", search_).folder).train.name, "KMNIST train");

  const auto write = [&](const std::string& name, const std::string& content) {
    folder_.write("q/" + name, content);
  };
  const auto labels = [](std::uint8_t label) {
    std::string file("\0\0\x0c\2\0\0\0\1\0\0\0\2\0\0\0", 15);
    return file + static_cast<char>(label) + std::string("\0\0\0\7", 4);
  };
  write("qmnist-train-images-idx3-ubyte", idx({1, 1, 1}, "a"));
  write("qmnist-train-labels-idx2-int", labels(3));
  write("qmnist-test-images-idx3-ubyte.gz", gzip(idx({1, 1, 1}, "b")));
  search_.explicit_folder = folder_ / "q";
  EXPECT_THAT(error_of([&] { locate("qmnist", search_); }),
              HasSubstr("q/qmnist-test-labels-idx2-int is missing"));
  write("qmnist-test-labels-idx2-int.gz", gzip(labels(9)));
  const DatasetPair qmnist = load("qmnist", locate("qmnist", search_).folder);
  EXPECT_THAT(qmnist.train.labels, ElementsAre(3));
  EXPECT_THAT(qmnist.test.labels, ElementsAre(9));
  EXPECT_EQ(qmnist.test.classes, 10);
  search_.explicit_folder.clear();
  search_.project_data = folder_ / "data";
  search_.allow_download = true;
  EXPECT_THAT(error_of([&] { locate("qmnist", search_); }),
              HasSubstr("get qmnist-train-*.gz and qmnist-test-*.gz from"));

  folder_.write("c/cifar-100-binary/train.bin", std::string("\1\2", 2) + noise(3072, 1));
  folder_.write("c/cifar-100-binary/test.bin", std::string("\3\4", 2) + noise(3072, 2));
  search_.explicit_folder = folder_ / "c";
  const DatasetPair cifar = load("cifar100", locate("cifar100", search_).folder);
  EXPECT_THAT(cifar.train.labels, ElementsAre(2));
  EXPECT_EQ(cifar.test.class_names.at(4), "beaver");
  EXPECT_EQ(recognise(folder_ / "c"), "cifar100");
}

/// Four files of one image each, under QMNIST's or a split of EMNIST's names.
void write_named(const TemporaryFolder& folder, const std::string& begin, char label) {
  const std::string wide = std::string("\0\0\x0c\2\0\0\0\1\0\0\0\1\0\0\0", 15) + label;
  for (const char* half : {"train", "test"}) {
    folder.write(begin + half + "-images-idx3-ubyte", idx({1, 1, 2}, "ab"));
    if (begin.ends_with("qmnist-")) {
      folder.write(begin + half + "-labels-idx2-int", wide);
    } else {
      folder.write(begin + half + "-labels-idx1-ubyte", idx({1}, std::string(1, label)));
    }
  }
}

TEST_F(DataFolderTest, IdxIsRecognisedByNamesAndByKnownLabels) {
  const std::string fashion("\11\2\1\1\6\1\4\6\5\7\4\5\7\3\4\1", 16);
  write_labels(folder_, "f", std::string("\0\1\2", 3));
  EXPECT_EQ(recognise(folder_ / "f"), "idx") << "no data set's, though they have its names";
  folder_.write("f/t10k-labels-idx1-ubyte", idx({16}, fashion));
  EXPECT_EQ(recognise(folder_ / "f"), "fashion-mnist");

  write_labels(folder_, "root/KMNIST/raw", std::string("\0\1\2", 3));
  for (const char* folder : {"root", "root/KMNIST", "root/KMNIST/raw", "root/KMNIST/raw/"})
    EXPECT_EQ(recognise(folder_ / folder), "kmnist") << folder;
  search_.explicit_folder = folder_ / "root";
  EXPECT_THAT(error_of([&] { locate("mnist", search_); }),
              AllOf(HasSubstr("is missing"), HasSubstr("it holds KMNIST: name --dataset kmnist")));

  write_named(folder_, "root/QMNIST/raw/qmnist-", '\1');
  EXPECT_THAT(error_of([&] { recognise(folder_ / "root"); }),
              HasSubstr("root holds kmnist and qmnist: name one with --dataset"));
  EXPECT_EQ(recognise(folder_ / "root/QMNIST"), "qmnist");

  write_named(folder_, "e/EMNIST/raw/emnist-letters-", '\1');
  EXPECT_EQ(recognise(folder_ / "e"), "emnist-letters");
  write_named(folder_, "e/EMNIST/raw/emnist-digits-", '\1');
  EXPECT_EQ(recognise(folder_ / "e"), "idx") << "which says that one of them is to be named";
  search_.explicit_folder = folder_ / "e";
  for (const char* dataset : {"idx", "mnist"}) {
    EXPECT_THAT(
        error_of([&] { locate(dataset, search_); }),
        HasSubstr("holds 2 splits of EMNIST: name one, as --dataset emnist-digits, --dataset emnist-l"));
  }
}

TEST_F(DataFolderTest, MnistBelowComesBeforeAllOthers) {
  const std::string mnist("\7\2\1\0\4\1\4\11\5\11\0\6\11\0\1\5", 16);
  write_cifar_dataset(folder_, "root/cifar-10-batches-bin");
  EXPECT_EQ(recognise(folder_ / "root"), "cifar10");
  write_labels(folder_, "root/MNIST/raw", std::string("\0\1\2", 3));
  folder_.write("root/MNIST/raw/t10k-labels-idx1-ubyte", idx({16}, mnist));
  EXPECT_EQ(recognise(folder_ / "root"), "mnist");
  write_labels(folder_, "root/KMNIST/raw", std::string("\0\1\2", 3));
  EXPECT_EQ(recognise(folder_ / "root"), "mnist");
  fs::remove_all(folder_ / "root/MNIST");
  EXPECT_THAT(error_of([&] { recognise(folder_ / "root"); }),
              HasSubstr("root holds kmnist and cifar10: name one with --dataset"));
}

TEST_F(DataFolderTest, OnlyItsOwnAndItsRawFolderMakeFilesKmnists) {
  const std::pair<const char*, const char*> cases[] = {{"kmnist/mine", "idx"},
                                                       {"kmnist/raw", "kmnist"},
                                                       {"kmnist/Raw", "kmnist"},
                                                       {"a/kmnist", "kmnist"},
                                                       {"kmnist/raw/mine", "idx"}};
  for (const auto& [folder, dataset] : cases) {
    write_labels(folder_, folder, std::string("\0\1\2", 3));
    EXPECT_EQ(recognise(folder_ / folder), dataset) << folder;
  }
}

TEST_F(DataFolderTest, KmnistIsNotTakenForMnist) {
  write_labels(folder_, "KMNIST/raw", std::string("\0\1\2", 3));
  for (const char* folder : {"KMNIST", "KMNIST/raw"}) {
    search_.explicit_folder = folder_ / folder;
    for (const char* other : {"mnist", "fashion-mnist"}) {
      EXPECT_THAT(
          error_of([&] { locate(other, search_); }),
          HasSubstr("KMNIST/raw holds KMNIST, not " + std::string(*other == 'm' ? "MNIST" : "Fashion-MNIST") +
                    ": name --dataset kmnist"));
    }
    EXPECT_EQ(load("kmnist", locate("kmnist", search_).folder).train.count(), 3);
    EXPECT_EQ(load("idx", locate("idx", search_).folder).train.count(), 3);
  }
}

TEST_F(DataFolderTest, DownloadedFilesOfKmnistAreKnownByTheirSizes) {
  for (const RemoteFile& file : remote_files("kmnist"))
    fs::resize_file(folder_.write("all/mnist/" + file.name, ""), static_cast<std::uintmax_t>(file.bytes));
  EXPECT_EQ(recognise(folder_ / "all/mnist"), "kmnist");
  search_.explicit_folder = folder_ / "all";
  EXPECT_THAT(error_of([&] { locate("mnist", search_); }),
              HasSubstr("all/mnist holds KMNIST, not MNIST: name --dataset kmnist"));
  fs::resize_file(folder_ / "all/mnist/t10k-labels-idx1-ubyte.gz", 5119);
  EXPECT_EQ(recognise(folder_ / "all/mnist"), "idx");
}

TEST_F(DataFolderTest, TheFilesAreThoseOfTheSetThatIsAskedFor) {
  write_named(folder_, "q/qmnist-", '\1');
  for (const char* other : {"mnist", "kmnist", "emnist-digits"}) {
    search_.explicit_folder = folder_ / "q";
    EXPECT_THAT(error_of([&] { locate(other, search_); }),
                AllOf(HasSubstr("is missing"), HasSubstr("it holds QMNIST: name --dataset qmnist")));
  }
  EXPECT_THAT(load("idx", folder_ / "q").train.labels, ElementsAre(1));
  write_labels(folder_, "q", std::string("\0\1\2", 3));  // MNIST's names beside them
  EXPECT_THAT(load("mnist", folder_ / "q").train.labels, ElementsAre(0, 1, 2));
  EXPECT_THAT(load("qmnist", folder_ / "q").train.labels, ElementsAre(1));
}

TEST_F(DataFolderTest, EveryClassOfEmnistHasItsName) {
  const std::string merged = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt";
  const struct {
    const char* split;
    std::int64_t classes;
    int label;
    const char* name;
  } cases[] = {{"digits", 10, 9, "9"},   {"mnist", 10, 0, "0"},     {"letters", 26, 1, "A"},
               {"letters", 26, 26, "Z"}, {"balanced", 47, 46, "t"}, {"bymerge", 47, 38, "d"},
               {"byclass", 62, 36, "a"}, {"byclass", 62, 61, "z"}};
  for (const auto& [split, classes, label, name] : cases) {
    const std::string dataset = std::string("emnist-") + split;
    write_named(folder_, "raw/" + dataset + "-", static_cast<char>(label));
    const DatasetPair pair = load(dataset, folder_.path());
    EXPECT_EQ(pair.train.classes, classes) << dataset;
    ASSERT_EQ(std::ssize(pair.test.class_names), classes) << dataset;
    EXPECT_EQ(pair.test.class_names[pair.test.labels[0]], name) << dataset << " " << label;
    EXPECT_TRUE(pair.train.transposed);
    EXPECT_EQ(pair.train.image, Shape({1, 2, 1}));
  }
  EXPECT_EQ(fmt::format("{}", fmt::join(load("emnist-balanced", folder_.path()).train.class_names, "")),
            merged);
  write_named(folder_, "raw/emnist-letters-", '\0');
  EXPECT_THAT(error_of([&] { load("emnist-letters", folder_.path()); }),
              HasSubstr("label 0 at position 0 is none of 1 to 26; for IDX files of other classes"));
  EXPECT_THAT(error_of([&] { remote_files("emnist-letters"); }), HasSubstr("https://www.nist.gov/"));
}

TEST_F(DataFolderTest, ALabelThatIsNoDigitsNamesIdx) {
  write_labels(folder_, "own", "\1\2\12");
  EXPECT_THAT(
      error_of([&] { load("mnist", folder_ / "own"); }),
      HasSubstr("train-labels-idx1-ubyte: label 10 at position 2 is not below the 10 classes; for IDX "
                "files of other classes name --dataset idx"));
}

}  // namespace
}  // namespace convoy
