#include "engine/data/cifar.h"

#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/data/byte_reader.h"

namespace convoy {
namespace {

constexpr std::int64_t kClasses = 10;
constexpr std::int64_t kPixels = 3 * 32 * 32;
constexpr std::int64_t kRecord = 1 + kPixels;

void append_records(const std::filesystem::path& path, Dataset& dataset) {
  InputFile file(path);
  if (file.bytes() == 0) throw Error(fmt::format("{}: is empty", path.string()));
  if (file.bytes() % kRecord != 0) {
    const bool cifar100 = file.bytes() % (kRecord + 1) == 0;
    throw Error(fmt::format(
        "{}: {} bytes are not a whole number of CIFAR-10 records of {} bytes; {}", path.string(),
        file.bytes(), kRecord,
        cifar100 ? "they are of CIFAR-100's, which have two labels and are not read" : "get the file again"));
  }
  const std::int64_t records = file.bytes() / kRecord;
  if ((dataset.count() + records) * kRecord > kMaxContentBytes) {
    throw Error(fmt::format("{}: more than {} bytes are refused", path.string(), kMaxContentBytes));
  }
  dataset.pixels.reserve(dataset.pixels.size() + static_cast<std::size_t>(records * kPixels));
  std::vector<std::uint8_t> record(kRecord);
  for (std::int64_t index = 0; index < records; ++index) {
    if (file.read(record) < record.size()) throw Error(fmt::format("{}: truncated", path.string()));
    if (record[0] >= kClasses) {
      throw Error(fmt::format("{}: label {} in record {} is not below the {} classes", path.string(),
                              record[0], index, kClasses));
    }
    dataset.labels.push_back(record[0]);
    dataset.pixels.insert(dataset.pixels.end(), record.begin() + 1, record.end());
  }
}

}  // namespace

Dataset read_cifar10(const std::vector<std::filesystem::path>& files) {
  Dataset dataset;
  dataset.name = "CIFAR-10";
  dataset.image = {3, 32, 32};
  dataset.classes = kClasses;
  // The commonly quoted statistics of the 50,000 training images, per channel.
  dataset.normalization = {.mean = {0.4914f, 0.4822f, 0.4465f}, .std = {0.2470f, 0.2435f, 0.2616f}};
  for (const std::filesystem::path& file : files) append_records(file, dataset);
  return dataset;
}

}  // namespace convoy
