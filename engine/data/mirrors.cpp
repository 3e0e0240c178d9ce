// Where the known data sets can be downloaded, with the checksums of the files as first published.
#include <fmt/format.h>

#include <span>
#include <string_view>

#include "convoy/error.h"
#include "convoy/fetch.h"

namespace convoy {
namespace {

struct IdxFile {
  std::string_view name;
  std::string_view sha256;
  std::int64_t bytes;
};

constexpr IdxFile kMnist[] = {
    {"train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
     9912422},
    {"train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28881},
    {"t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
     1648877},
    {"t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4542},
};

constexpr IdxFile kFashionMnist[] = {
    {"train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
     26421880},
    {"train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29515},
    {"t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
     4422102},
    {"t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5148},
};

// As TensorFlow Datasets checks them.
constexpr IdxFile kKmnist[] = {
    {"train-images-idx3-ubyte.gz", "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
     18165135},
    {"train-labels-idx1-ubyte.gz", "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", 29497},
    {"t10k-images-idx3-ubyte.gz", "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
     3041136},
    {"t10k-labels-idx1-ubyte.gz", "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", 5120},
};

constexpr std::string_view kMnistMirrors[] = {
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
};

constexpr std::string_view kFashionMnistMirrors[] = {
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
};

constexpr std::string_view kKmnistMirrors[] = {
    "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
};

std::vector<RemoteFile> on_mirrors(std::span<const IdxFile> files,
                                   std::span<const std::string_view> mirrors) {
  std::vector<RemoteFile> remote;
  for (const IdxFile& file : files) {
    RemoteFile entry{
        .name = std::string(file.name), .urls = {}, .sha256 = std::string(file.sha256), .bytes = file.bytes};
    for (const std::string_view mirror : mirrors)
      entry.urls.push_back(fmt::format("{}{}", mirror, file.name));
    remote.push_back(std::move(entry));
  }
  return remote;
}

RemoteFile cifar10_archive() {
  constexpr std::int64_t kBatchBytes = 10'000 * 3073;
  RemoteFile archive{.name = "cifar-10-binary.tar.gz",
                     .urls = {"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
                     .sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                     .bytes = 170'052'171};
  for (int batch = 1; batch <= 5; ++batch) {
    archive.members.push_back({fmt::format("cifar-10-batches-bin/data_batch_{}.bin", batch), kBatchBytes});
  }
  archive.members.push_back({"cifar-10-batches-bin/test_batch.bin", kBatchBytes});
  return archive;
}

RemoteFile cifar100_archive() {
  constexpr std::int64_t kRecord = 3074;
  return {
      .name = "cifar-100-binary.tar.gz",
      .urls = {"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"},
      .sha256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",  // as TensorFlow Datasets
      .bytes = 168'513'733,
      .members = {{"cifar-100-binary/train.bin", 50'000 * kRecord},
                  {"cifar-100-binary/test.bin", 10'000 * kRecord}}};
}

}  // namespace

std::vector<RemoteFile> remote_files(const std::string& dataset) {
  if (dataset == "mnist") return on_mirrors(kMnist, kMnistMirrors);
  if (dataset == "fashion-mnist") return on_mirrors(kFashionMnist, kFashionMnistMirrors);
  if (dataset == "kmnist") return on_mirrors(kKmnist, kKmnistMirrors);
  if (dataset == "cifar10") return {cifar10_archive()};
  if (dataset == "cifar100") return {cifar100_archive()};
  if (dataset == "qmnist") {
    throw UsageError(
        "qmnist is not downloaded, for nobody publishes SHA-256 of its files; get qmnist-train-*.gz and "
        "qmnist-test-*.gz from https://github.com/facebookresearch/qmnist, and name their folder");
  }
  if (dataset.starts_with("emnist-")) {
    throw UsageError(fmt::format(
        "{} is not downloaded, for nobody publishes SHA-256 of its files; get gzip.zip from "
        "https://www.nist.gov/itl/products-and-services/emnist-dataset, unpack it, and name its folder",
        dataset));
  }
  throw UsageError(fmt::format("no mirrors are known for the data set '{}'", dataset));
}

}  // namespace convoy
