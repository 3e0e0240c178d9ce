// Data folders as people have them: labels with gaps, folders below, files of other kinds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/catalog.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
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
  EXPECT_EQ(recognise(folder_ / "c"), std::nullopt) << "it has a name";
}

}  // namespace
}  // namespace convoy
