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

constexpr std::string_view kMnistMirrors[] = {
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
};

constexpr std::string_view kFashionMnistMirrors[] = {
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
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

}  // namespace

std::vector<RemoteFile> remote_files(const std::string& dataset) {
  if (dataset == "mnist") return on_mirrors(kMnist, kMnistMirrors);
  if (dataset == "fashion-mnist") return on_mirrors(kFashionMnist, kFashionMnistMirrors);
  if (dataset == "cifar10") return {cifar10_archive()};
  throw UsageError(fmt::format("no mirrors are known for the data set '{}'", dataset));
}

}  // namespace convoy
