#include "engine/data/pictures/picture_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "convoy/error.h"
#include "engine/data/host_memory.h"
#include "engine/data/parallel_for.h"
#include "engine/data/pictures/picture_cache.h"
#include "engine/data/pictures/picture_file.h"
#include "engine/data/pictures/picture_tree.h"
#include "engine/data/split.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr auto kMostExtent = static_cast<std::int64_t>(kLongestSide);  // height and width of an image

/// What all pictures are made into. What is not asked for is as the first picture has it, and then all must.
struct Target {
  Shape image;
  bool any_size = false;     // others are scaled
  bool any_colours = false;  // others are made grey, or grey in three channels
  bool crop = false;
  std::string first;  // the file of the first picture
};

Picture upright_rgb(const fs::path& file) { return opaque(decode_picture(read_picture_bytes(file))); }

Target target_of(const LoadOptions& options, const fs::path& first) {
  Target target{.image = {},
                .any_size = options.height > 0,
                .any_colours = options.channels > 0,
                .crop = options.crop,
                .first = first.string()};
  std::int64_t channels = options.channels, height = options.height, width = options.width;
  if (!target.any_size || !target.any_colours) {
    const Picture picture = upright_rgb(first);
    if (!target.any_size) height = static_cast<std::int64_t>(picture.height);
    if (!target.any_size) width = static_cast<std::int64_t>(picture.width);
    if (!target.any_colours) channels = has_colour(picture) ? 3 : 1;
  }
  target.image = {channels, height, width};
  return target;
}

void check_options(const LoadOptions& options) {
  if (options.channels != 0 && options.channels != 1 && options.channels != 3) {
    throw UsageError(fmt::format(
        "pictures cannot be made into {} channels: 1 (grey) or 3 (colour) are possible", options.channels));
  }
  const bool both = (options.height > 0) == (options.width > 0);
  if (!both || options.height < 0 || options.height > kMostExtent || options.width < 0 ||
      options.width > kMostExtent) {
    throw UsageError(fmt::format("pictures cannot be made {} x {} pixels: 1 to {} each are possible",
                                 options.width, options.height, kMostExtent));
  }
}

std::vector<std::uint8_t> image_of(const fs::path& file, const Target& target) {
  Picture picture = upright_rgb(file);
  const auto height = static_cast<std::size_t>(target.image[1]),
             width = static_cast<std::size_t>(target.image[2]);
  const bool same_size = picture.height == height && picture.width == width;
  if (!same_size && !target.any_size) {
    throw Error(
        fmt::format("{} is of {} x {} pixels, {} of {} x {}: name the size that all are made to, as "
                    "--image-size 32x32",
                    file.string(), picture.width, picture.height, target.first, width, height));
  }
  if (target.image[0] == 1) {
    if (!target.any_colours && has_colour(picture)) {
      throw Error(
          fmt::format("{} has colours, {} has none: say what all are made to, as --image-size 3x{}x{}, "
                      "or 1x{}x{} for grey",
                      file.string(), target.first, height, width, height, width));
    }
    picture = luma(picture);
  }
  if (target.crop) picture = cropped(picture, height, width);
  if (picture.height != height || picture.width != width) picture = resize(picture, height, width);
  return bytes_of(picture);
}

DecodedPictures decode(const fs::path& folder, const std::vector<ListedPicture>& pictures,
                       const LoadOptions& options) {
  const Target target = target_of(options, folder / pictures.front().name);
  DecodedPictures decoded{target.image, {}};
  const std::int64_t image = target.image.count();
  if (const std::int64_t memory = host_memory_bytes(); std::ssize(pictures) > memory / image) {
    throw Error(fmt::format(
        "{}: {} images of {} have more bytes than the {} of memory that they may take here; make them "
        "smaller, as --image-size 64x64",
        folder.string(), pictures.size(), target.image.str(), memory));
  }
  decoded.pixels.resize(pictures.size() * static_cast<std::size_t>(image));
  const auto total = std::ssize(pictures);
  parallel_for(
      pictures.size(),
      [&](std::size_t i) {
        const std::vector<std::uint8_t> bytes = image_of(folder / pictures[i].name, target);
        std::ranges::copy(bytes, decoded.pixels.begin() + static_cast<std::ptrdiff_t>(i) * image);
      },
      [&](std::size_t done) {
        if (options.progress) options.progress(static_cast<std::int64_t>(done), total);
      });
  return decoded;
}

/// The whole path, without what it may end in: "pets/" and "pets/." are "pets".
fs::path plain_path(const fs::path& folder) {
  std::error_code code;
  fs::path whole = fs::absolute(folder, code).lexically_normal();
  if (code) whole = folder;  // the working folder has been removed
  return whole.has_filename() ? whole : whole.parent_path();
}

/// All that the decoded pictures follow from, but for the files' contents.
std::string key_of(const fs::path& folder, const std::vector<ListedPicture>& pictures,
                   const LoadOptions& options) {
  std::string key = fmt::format("{}\n{} x {} x {}, crop {}\n", folder.string(), options.channels,
                                options.height, options.width, options.crop);
  for (const ListedPicture& picture : pictures) {
    key += fmt::format("{} {} {} {}\n", picture.bytes, picture.modified, picture.changed, picture.name);
  }
  return key;
}

/// One for each folder and format, so that a folder that changes takes the place of what it was.
fs::path cache_file(const fs::path& folder, const LoadOptions& options) {
  const std::string what = fmt::format("{} {} {} {} {}", folder.string(), options.channels, options.height,
                                       options.width, options.crop);
  const auto* const bytes = reinterpret_cast<const Bytef*>(what.data());
  constexpr std::size_t kMostOfName = 100;  // a folder's may be as long as a file's, which gets more
  return options.cache / fmt::format("{}-{:08x}.pictures", folder.filename().string().substr(0, kMostOfName),
                                     crc32_z(crc32_z(0, nullptr, 0), bytes, what.size()));
}

/// Decodes the pictures and keeps them. That they cannot be kept is no error.
DecodedPictures decode_and_keep(const fs::path& folder, const std::vector<ListedPicture>& pictures,
                                const LoadOptions& options, const fs::path& cache, const std::string& key) {
  const auto start = std::chrono::steady_clock::now();
  DecodedPictures decoded = decode(folder, pictures, options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::string told = fmt::format("{} pictures of {} made into {} in {:.1f} s", pictures.size(),
                                 folder.string(), decoded.image.str(), seconds.count());
  if (!cache.empty()) {
    try {
      cache_pictures(cache, key, decoded);
      told += ", kept in " + cache.string();
    } catch (const Error& error) {
      told += fmt::format(", and not kept: {}", error.what());
    }
  }
  if (options.say) options.say(told);
  return decoded;
}

DecodedPictures decoded_or_kept(const PictureTree& tree, const LoadOptions& options) {
  std::vector<ListedPicture> pictures = tree.train;
  pictures.insert(pictures.end(), tree.test.begin(), tree.test.end());
  if (options.cache.empty()) return decode_and_keep(tree.folder, pictures, options, {}, {});
  const fs::path folder = plain_path(tree.folder);
  const std::string key = key_of(folder, pictures, options);
  const fs::path cache = cache_file(folder, options);
  if (auto kept = cached_pictures(cache, key, std::ssize(pictures))) return std::move(*kept);
  return decode_and_keep(tree.folder, pictures, options, cache, key);
}

void check_trained_classes(const PictureTree& tree, const std::vector<std::string>& trained) {
  if (trained.empty() || trained == tree.classes) return;
  for (const std::string& name : tree.classes) {
    if (std::ranges::find(trained, name) != trained.end()) continue;
    throw Error(fmt::format("{}: the folder {} is no class of the model, which knows {}",
                            tree.folder.string(), name, fmt::join(trained, ", ")));
  }
  throw Error(fmt::format("{}: {} folders, but the model has {} classes: {}", tree.folder.string(),
                          tree.classes.size(), trained.size(), fmt::join(trained, ", ")));
}

}  // namespace

DatasetPair read_picture_set(const fs::path& folder, const LoadOptions& options) {
  check_options(options);
  const PictureTree tree = list_pictures(folder, options.say);
  check_trained_classes(tree, options.classes);
  require_split(folder, !tree.test.empty(), options);
  DecodedPictures decoded = decoded_or_kept(tree, options);
  Dataset all;
  all.name = plain_path(folder).filename().string();
  all.image = decoded.image;
  all.classes = std::ssize(tree.classes);
  all.pixels = std::move(decoded.pixels);
  all.cropped = options.crop;
  all.class_names = tree.classes;
  for (const auto* half : {&tree.train, &tree.test}) {
    for (const ListedPicture& picture : *half) all.labels.push_back(picture.label);
  }
  if (tree.test.empty()) return split_as_asked(all, options);
  DatasetPair pair;
  pair.test = drop(all, std::ssize(tree.train));
  pair.train = take(std::move(all), std::ssize(tree.train));
  return pair;
}

}  // namespace convoy
