#include "convoy/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "convoy/error.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

class CatalogTest : public testing::Test {
 protected:
  CatalogTest() {
    search_.explicit_name = "--data";
    search_.environment_name = "CONVOY_DATA";
    search_.project_data = folder_ / "data";
    search_.packaged_fashion_mnist = folder_ / "packaged";
    search_.allow_download = false;
    search_.say = [this](const std::string& line) { said_.push_back(line); };
  }

  TemporaryFolder folder_;
  DataSearch search_;
  std::vector<std::string> said_;
};

TEST_F(CatalogTest, NamesItsDataSets) {
  const auto names = dataset_names();
  EXPECT_THAT(std::vector(names.begin(), names.end()),
              ElementsAre("mnist", "fashion-mnist", "kmnist", "qmnist", "emnist-balanced", "emnist-byclass",
                          "emnist-bymerge", "emnist-digits", "emnist-letters", "emnist-mnist", "cifar10",
                          "cifar100"));
  EXPECT_THAT(error_of([&] { locate("emnist", search_); }),
              HasSubstr("'emnist' has splits; name one: emnist-balanced, emnist-byclass, "));
  EXPECT_THROW(locate("imagenet", search_), UsageError);
  EXPECT_THROW(find_local("imagenet", search_), UsageError);
  EXPECT_THROW(load("imagenet", folder_.path()), UsageError);
}

TEST_F(CatalogTest, DataFolderComesFirstAndAlone) {
  write_idx_dataset(folder_, "given", "");
  write_idx_dataset(folder_, "environment", "");
  write_idx_dataset(folder_, "data/mnist", "");
  search_.environment = folder_ / "environment";
  search_.explicit_folder = folder_ / "given";
  const DataLocation location = locate("mnist", search_);
  EXPECT_EQ(location.folder, folder_ / "given");
  EXPECT_EQ(location.how, "from --data");

  search_.explicit_folder = folder_ / "elsewhere";
  EXPECT_THAT(error_of([&] { locate("mnist", search_); }),
              AllOf(HasSubstr("mnist was not found"), HasSubstr("elsewhere cannot be read: No such file")));
  EXPECT_EQ(find_local("mnist", search_), std::nullopt);
}

TEST_F(CatalogTest, EmnistIsKnownByItsFileNamesAndTurnedUpright) {
  write_idx_dataset(folder_, "mine", "");
  const auto rename = [&](const std::string& folder, const std::string& split) {
    for (const auto& [half, emnist] : {std::pair{"train", "train"}, {"t10k", "test"}}) {
      for (const char* content : {"-images-idx3-ubyte", "-labels-idx1-ubyte"}) {
        fs::create_directories(folder_ / folder);
        fs::copy(folder_ / ("mine/" + std::string(half) + content),
                 folder_ / (folder + "/emnist-" + split + "-" + emnist + content));
      }
    }
  };
  rename("letters", "letters");
  const Dataset plain = load("idx", folder_ / "mine").train;
  const Dataset turned = load("idx", folder_ / "letters").train;
  EXPECT_FALSE(plain.transposed);
  EXPECT_TRUE(turned.transposed);
  EXPECT_EQ(turned.pixels, transpose(plain).pixels);
  EXPECT_EQ(turned.labels, plain.labels);

  rename("letters", "digits");
  EXPECT_THAT(
      error_of([&] { load("idx", folder_ / "letters"); }),
      HasSubstr("holds 2 splits of EMNIST: name one, as --dataset emnist-digits, --dataset emnist-letters"));
}

TEST_F(CatalogTest, EnvironmentComesBeforeTheProject) {
  write_idx_dataset(folder_, "environment/mnist", ".gz");
  write_idx_dataset(folder_, "data/mnist", "");
  search_.environment = folder_ / "environment";  // a folder of data sets does as well as a data set's own
  const DataLocation location = locate("mnist", search_);
  EXPECT_EQ(location.folder, folder_ / "environment/mnist");
  EXPECT_EQ(location.how, "from CONVOY_DATA");
}

TEST_F(CatalogTest, ProjectComesBeforeThePackage) {
  write_idx_dataset(folder_, "packaged", ".gz");
  EXPECT_EQ(locate("fashion-mnist", search_).folder, folder_ / "packaged");
  write_idx_dataset(folder_, "data/fashion-mnist", "");
  EXPECT_EQ(locate("fashion-mnist", search_).folder, folder_ / "data/fashion-mnist");
  EXPECT_TRUE(said_.empty());
}

TEST_F(CatalogTest, KnowsMnistAndFashionMnistApart) {
  const auto write = [&](const std::string& name, const std::string& content) {
    folder_.write("given/" + name, content);
  };
  const std::string mnist("\7\2\1\0\4\1\4\11\5\11\0\6\11\0\1\5", 16);  // the first test labels of both
  const std::string fashion("\11\2\1\1\6\1\4\6\5\7\4\5\7\3\4\1", 16);
  write("train-images-idx3-ubyte", idx({1, 1, 1}, "a"));
  write("train-labels-idx1-ubyte", idx({1}, "\1"));
  write("t10k-images-idx3-ubyte", idx({16, 1, 1}, "abcdefghijklmnop"));
  search_.explicit_folder = folder_ / "given";
  const auto expect = [&](const std::string& holds, const std::string& other, const std::string& words) {
    EXPECT_EQ(locate(holds, search_).folder, folder_ / "given");
    EXPECT_EQ(load(holds, folder_ / "given").test.count(), 16);
    EXPECT_THAT(error_of([&] { locate(other, search_); }), HasSubstr("given holds " + words));
    EXPECT_THAT(error_of([&] { load(other, folder_ / "given"); }), HasSubstr("given holds " + words));
    EXPECT_EQ(load("idx", folder_ / "given").test.count(), 16);
  };
  write("t10k-labels-idx1-ubyte", idx({16}, mnist));
  expect("mnist", "fashion-mnist", "MNIST, not Fashion-MNIST: name --dataset mnist");
  write("t10k-labels-idx1-ubyte", idx({16}, fashion));
  expect("fashion-mnist", "mnist", "Fashion-MNIST, not MNIST: name --dataset fashion-mnist");
}

TEST_F(CatalogTest, FashionMnistStandsInForMnistAndSaysSo) {
  write_idx_dataset(folder_, "packaged", ".gz");
  const DataLocation location = locate("mnist", search_);
  EXPECT_EQ(location.dataset, "fashion-mnist");
  EXPECT_EQ(location.folder, folder_ / "packaged");
  EXPECT_EQ(location.how, "packaged by Debian");
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], AllOf(HasSubstr("MNIST could not be had (downloading is switched off)"),
                              HasSubstr("what follows is Fashion-MNIST")));
  EXPECT_EQ(find_local("mnist", search_)->dataset, "fashion-mnist");
  EXPECT_EQ(find_local("cifar10", search_), std::nullopt);
}

TEST_F(CatalogTest, SaysEveryPlaceThatWasTried) {
  EXPECT_THAT(error_of([&] { locate("mnist", search_); }),
              AllOf(HasSubstr("data/mnist cannot be read"), HasSubstr("downloading is switched off"),
                    HasSubstr("dataset-fashion-mnist is not in"), HasSubstr("--data or CONVOY_DATA")));
  write_idx_dataset(folder_, "data/mnist", "");
  fs::remove(folder_ / "data/mnist/t10k-labels-idx1-ubyte");
  EXPECT_THAT(error_of([&] { locate("mnist", search_); }),
              HasSubstr("data/mnist/t10k-labels-idx1-ubyte is missing (plain or .gz)"));
  search_.allow_download = true;
  search_.project_data.clear();
  EXPECT_THAT(error_of([&] { locate("cifar10", search_); }), HasSubstr("no data folder to download into"));
}

TEST_F(CatalogTest, AFailedDownloadIsToldAndFashionMnistStandsIn) {
  setenv("no_proxy", "127.0.0.1", 1);  // a proxy of the environment has no part in this
  search_.allow_download = true;
  search_.mirrors = [](const std::string&) {
    return std::vector<RemoteFile>{{.name = "f", .urls = {"http://127.0.0.1:1/f"}, .sha256 = "", .bytes = 1}};
  };
  EXPECT_THAT(error_of([&] { locate("mnist", search_); }), HasSubstr("http://127.0.0.1:1/f: "));
  write_idx_dataset(folder_, "packaged", ".gz");
  EXPECT_EQ(locate("mnist", search_).dataset, "fashion-mnist");
  EXPECT_THAT(said_.back(), HasSubstr("http://127.0.0.1:1/f: "));
}

TEST_F(CatalogTest, DownloadsWhatIsMissing) {
  // The one missing file lies there as a complete part, so that no server is needed.
  write_idx_dataset(folder_, "data/mnist", "");
  const fs::path labels = folder_ / "data/mnist/t10k-labels-idx1-ubyte";
  const std::string sha256 = sha256_of(labels);
  fs::rename(labels, labels.string() + ".part");
  search_.allow_download = true;
  search_.mirrors = [&](const std::string& dataset) {
    EXPECT_EQ(dataset, "mnist");
    return std::vector<RemoteFile>{
        {.name = labels.filename(), .urls = {"http://127.0.0.1:1/"}, .sha256 = sha256, .bytes = 9}};
  };
  const DataLocation location = locate("mnist", search_);
  EXPECT_EQ(location.how, "downloaded");
  EXPECT_EQ(location.folder, folder_ / "data/mnist");
}

TEST_F(CatalogTest, AnyIdxFolderMustBeNamed) {
  write_idx_dataset(folder_, "own", "");
  EXPECT_THAT(error_of([&] { locate("idx", search_); }),
              HasSubstr("no folder is given; its folder may be named by --data or CONVOY_DATA"));
  search_.explicit_folder = folder_ / "own";
  EXPECT_EQ(locate("idx", search_).folder, folder_ / "own");
}

TEST_F(CatalogTest, AnUnreadableFolderIsAnError) {
  search_.explicit_folder = folder_.write("file", "x");
  EXPECT_THAT(error_of([&] { locate("mnist", search_); }), HasSubstr("cannot be read: Not a directory"));
  if (geteuid() == 0) GTEST_SKIP() << "root may read every folder";
  write_idx_dataset(folder_, "closed", "");
  search_.explicit_folder = folder_ / "closed";
  fs::permissions(search_.explicit_folder, fs::perms::none);
  EXPECT_THAT(error_of([&] { locate("mnist", search_); }), HasSubstr("cannot be read: Permission denied"));
  EXPECT_THAT(error_of([&] { load("mnist", search_.explicit_folder); }), HasSubstr("Permission denied"));
  fs::permissions(search_.explicit_folder, fs::perms::owner_all);
}

TEST_F(CatalogTest, LoadsIdxPlainOrGzip) {
  for (const std::string ending : {"", ".gz"}) {
    write_idx_dataset(folder_, "set" + ending, ending);
    const DatasetPair pair = load("mnist", folder_ / ("set" + ending));
    EXPECT_EQ(pair.train.name, "MNIST train");
    EXPECT_EQ(pair.test.name, "MNIST test");
    EXPECT_EQ(pair.train.classes, 10);
    EXPECT_THAT(pair.train.labels, ElementsAre(1, 0));
    EXPECT_THAT(pair.test.labels, ElementsAre(2));
  }
}

TEST_F(CatalogTest, CountsTheClassesOfAnyIdxSet) {
  write_idx_dataset(folder_, "own", "");
  fs::rename(folder_ / "own/train-images-idx3-ubyte", folder_ / "own/train-images.idx3-ubyte");
  const DatasetPair pair = load("idx", folder_ / "own");
  EXPECT_EQ(pair.train.classes, 3);  // label 2 occurs in the test half only
  EXPECT_EQ(pair.test.classes, 3);
}

TEST_F(CatalogTest, LoadsIdxOfSeveralChannels) {
  write_idx_dataset(folder_, "own", "");
  for (const char* half : {"train", "t10k"})
    fs::remove(folder_ / ("own/" + std::string(half) + "-images-idx3-ubyte"));
  folder_.write("own/train-images-idx4-ubyte", idx({2, 3, 1, 1}, "abcdef"));
  folder_.write("own/t10k-images-idx4-ubyte", idx({1, 3, 1, 1}, "abc"));
  EXPECT_EQ(load("idx", folder_ / "own").train.image, Shape({3, 1, 1}));
}

TEST_F(CatalogTest, RefusesHalvesOfDifferentImages) {
  write_idx_dataset(folder_, "own", "");
  folder_.write("own/t10k-images-idx3-ubyte", idx({1, 3, 2}, "mnopqr"));
  EXPECT_THAT(error_of([&] { load("idx", folder_ / "own"); }),
              HasSubstr("training images are [1, 2, 3], test images [1, 3, 2]"));
}

TEST_F(CatalogTest, LoadsCifar10FromEitherFolder) {
  write_cifar_dataset(folder_, "flat");
  write_cifar_dataset(folder_, "nested/cifar-10-batches-bin");
  for (const char* where : {"flat", "nested"}) {
    search_.explicit_folder = folder_ / where;
    const DatasetPair pair = load("cifar10", locate("cifar10", search_).folder);
    EXPECT_EQ(pair.train.name, "CIFAR-10 train");
    EXPECT_THAT(pair.train.labels, ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(pair.test.labels, ElementsAre(9));
  }
  fs::remove(folder_ / "flat/data_batch_4.bin");
  EXPECT_THAT(error_of([&] { load("cifar10", folder_ / "flat"); }), HasSubstr("data_batch_4.bin is missing"));
}

void expect_mnist_like(const DatasetPair& pair) {
  EXPECT_EQ(pair.train.count(), 60000);
  EXPECT_EQ(pair.test.count(), 10000);
  EXPECT_EQ(pair.train.image, Shape({1, 28, 28}));
  EXPECT_EQ(pair.train.pixels.size(), 60000u * 784u);
  EXPECT_EQ(pair.train.classes, 10);
}

std::vector<int> first_ten_labels(const Dataset& dataset) {
  return {dataset.labels.begin(), dataset.labels.begin() + 10};
}

TEST(RealData, Mnist) {
  const char* folder = std::getenv("CONVOY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "CONVOY_DATA names no folder with MNIST";
  DataSearch search;
  search.environment = folder;
  const DatasetPair pair = load("mnist", locate("mnist", search).folder);
  expect_mnist_like(pair);
  EXPECT_THAT(first_ten_labels(pair.train), ElementsAre(5, 0, 4, 1, 9, 2, 1, 3, 1, 4));
}

TEST(RealData, PackagedFashionMnist) {
  DataSearch search;
  search.allow_download = false;
  const auto location = find_local("fashion-mnist", search);
  if (!location) GTEST_SKIP() << "Debian's dataset-fashion-mnist is not installed";
  const DatasetPair pair = load("fashion-mnist", location->folder);
  expect_mnist_like(pair);
  EXPECT_EQ(pair.train.name, "Fashion-MNIST train");
  EXPECT_THAT(first_ten_labels(pair.train), ElementsAre(9, 0, 0, 3, 0, 2, 7, 2, 5, 5));
}

}  // namespace
}  // namespace convoy
