#include "engine/data/cifar.h"

#include <fmt/format.h>

#include <array>

#include "convoy/error.h"
#include "engine/core/file.h"
#include "engine/data/host_memory.h"

namespace convoy {
namespace {

constexpr std::int64_t kPixels = 3 * 32 * 32;

/// What tells the two data sets apart.
struct CifarFormat {
  const char* name;
  std::int64_t labels;  // bytes in front of the pixels; the last one is the class
  std::int64_t classes;
  std::int64_t record() const { return labels + kPixels; }
};
constexpr CifarFormat kCifar10 = {"CIFAR-10", 1, 10}, kCifar100 = {"CIFAR-100", 2, 100};

// As fine_label_names.txt lists them.
constexpr std::array<const char*, 100> kFineClasses = {
    "apple",      "aquarium_fish", "baby",         "bear",       "beaver",      "bed",         "bee",
    "beetle",     "bicycle",       "bottle",       "bowl",       "boy",         "bridge",      "bus",
    "butterfly",  "camel",         "can",          "castle",     "caterpillar", "cattle",      "chair",
    "chimpanzee", "clock",         "cloud",        "cockroach",  "couch",       "crab",        "crocodile",
    "cup",        "dinosaur",      "dolphin",      "elephant",   "flatfish",    "forest",      "fox",
    "girl",       "hamster",       "house",        "kangaroo",   "keyboard",    "lamp",        "lawn_mower",
    "leopard",    "lion",          "lizard",       "lobster",    "man",         "maple_tree",  "motorcycle",
    "mountain",   "mouse",         "mushroom",     "oak_tree",   "orange",      "orchid",      "otter",
    "palm_tree",  "pear",          "pickup_truck", "pine_tree",  "plain",       "plate",       "poppy",
    "porcupine",  "possum",        "rabbit",       "raccoon",    "ray",         "road",        "rocket",
    "rose",       "sea",           "seal",         "shark",      "shrew",       "skunk",       "skyscraper",
    "snail",      "snake",         "spider",       "squirrel",   "streetcar",   "sunflower",   "sweet_pepper",
    "table",      "tank",          "telephone",    "television", "tiger",       "tractor",     "train",
    "trout",      "tulip",         "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",
    "woman",      "worm"};

void append_records(const std::filesystem::path& path, const CifarFormat& format, Dataset& dataset) {
  InputFile file(path);
  if (file.bytes() == 0) throw Error(fmt::format("{}: is empty", path.string()));
  if (file.bytes() % format.record() != 0) {
    const CifarFormat& other = format.labels == 1 ? kCifar100 : kCifar10;
    throw Error(fmt::format("{}: {} bytes are not a whole number of {} records of {} bytes; {}",
                            path.string(), file.bytes(), format.name, format.record(),
                            file.bytes() % other.record() == 0 ? fmt::format("they are of {}'s", other.name)
                                                               : std::string("get the file again")));
  }
  const std::int64_t records = file.bytes() / format.record();
  require_memory((dataset.count() + records) * format.record(), {path.string()});
  dataset.pixels.reserve(dataset.pixels.size() + static_cast<std::size_t>(records * kPixels));
  std::vector<std::uint8_t> record(static_cast<std::size_t>(format.record()));
  const auto label_at = static_cast<std::size_t>(format.labels - 1);
  for (std::int64_t index = 0; index < records; ++index) {
    if (file.read(record) < record.size()) throw Error(fmt::format("{}: truncated", path.string()));
    if (record[label_at] >= format.classes) {
      throw Error(fmt::format("{}: label {} in record {} is not below the {} classes", path.string(),
                              record[label_at], index, format.classes));
    }
    dataset.labels.push_back(record[label_at]);
    dataset.pixels.insert(dataset.pixels.end(), record.begin() + format.labels, record.end());
  }
}

Dataset read_records(const std::vector<std::filesystem::path>& files, const CifarFormat& format) {
  Dataset dataset;
  dataset.name = format.name;
  dataset.image = {3, 32, 32};
  dataset.classes = format.classes;
  for (const std::filesystem::path& file : files) append_records(file, format, dataset);
  return dataset;
}

}  // namespace

Dataset read_cifar10(const std::vector<std::filesystem::path>& files) {
  Dataset dataset = read_records(files, kCifar10);
  // The commonly quoted statistics of the 50,000 training images, per channel.
  dataset.normalization = {.mean = {0.4914f, 0.4822f, 0.4465f}, .std = {0.2470f, 0.2435f, 0.2616f}};
  return dataset;
}

Dataset read_cifar100(const std::vector<std::filesystem::path>& files) {
  Dataset dataset = read_records(files, kCifar100);
  dataset.normalization = {.mean = {0.5071f, 0.4865f, 0.4409f}, .std = {0.2673f, 0.2564f, 0.2762f}};
  dataset.class_names.assign(kFineClasses.begin(), kFineClasses.end());
  return dataset;
}

}  // namespace convoy
