#include "apps/convoy/model_input.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/convoy/drawing.h"
#include "apps/convoy/ink.h"
#include "apps/convoy/mnist_framing.h"
#include "convoy/error.h"
#include "engine/data/pictures/picture_file.h"

namespace convoy {
namespace {

struct Prepared {
  Picture picture;
  std::string how;
  std::string left_out = {};
  std::string note = {};
};

float border_median(const Picture& grey) {
  std::vector<float> values;
  for (std::size_t y = 0; y < grey.height; ++y) {
    for (std::size_t x = 0; x < grey.width; ++x) {
      if (y == 0 || x == 0 || y + 1 == grey.height || x + 1 == grey.width) values.push_back(grey.at(0, y, x));
    }
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void invert(Prepared& prepared) {
  for (float& value : prepared.picture.values) value = 1.0f - value;
  prepared.how += ", inverted";
}

/// Cuts out what is drawn and frames it as MNIST's digits.
Prepared framed_as_mnist(const Picture& rgba, const Shape& image, const Preparation& preparation,
                         const PictureOptions& options) {
  const bool light_paper = preparation.background == Background::light;  // of the data
  std::optional<bool> dark_ink;
  if (options.invert) dark_ink = *options.invert != light_paper;
  const Ink ink = find_ink(rgba, dark_ink);
  const Drawing drawing = cut_out(ink);
  Prepared prepared{
      frame_as_mnist(drawing.ink, static_cast<std::size_t>(image[1]), static_cast<std::size_t>(image[2])),
      "framed as MNIST", drawing.left_out, drawing.note};
  if (light_paper) {
    for (float& value : prepared.picture.values) value = 1.0f - value;
  }
  if (ink.dark != light_paper) prepared.how += ", inverted";
  return prepared;
}

/// Whether a picture of the model's size may be one of the data's images, which are taken as they are, blank
/// or light as some may be. What is measured says what nearly all are, not each. Only MNIST's own are known.
bool may_be_of_data(const Preparation& preparation, bool same_size) {
  return same_size && preparation.dataset != "mnist";
}

/// Whether the picture's background is not that of the training data.
bool is_negative(const Picture& grey, const Preparation& preparation, bool same_size) {
  if (grey.channels != 1 || preparation.background == Background::mixed) return false;
  if (may_be_of_data(preparation, same_size)) return false;
  return (border_median(grey) > 0.5f) != (preparation.background == Background::light);
}

/// The whole picture, scaled if need be.
Prepared whole(const Picture& rgba, const Shape& image, const Preparation& preparation,
               const PictureOptions& options) {
  const auto height = static_cast<std::size_t>(image[1]), width = static_cast<std::size_t>(image[2]);
  const bool same_size = rgba.height == height && rgba.width == width;
  if (!same_size && options.framing.value_or(preparation.framing) == Framing::none) {
    throw Error(fmt::format("is of {} x {} pixels where the model takes {} x {}; --framing fit scales it",
                            rgba.width, rgba.height, width, height));
  }
  Picture picture = opaque(rgba);
  if (image[0] == 1) {
    picture = luma(picture);
    if (!may_be_of_data(preparation, same_size) && contrast(picture.values) < kOneColour) {
      throw Error("nothing to be seen, the picture has one colour");
    }
  }
  Prepared prepared{std::move(picture), "as it is"};
  const bool negative = options.invert.value_or(is_negative(prepared.picture, preparation, same_size));
  if (!same_size) {
    const bool crop = options.framing.value_or(preparation.framing) == Framing::crop;
    prepared.how = crop ? "cut to its proportions and scaled" : "scaled as a whole";
    if (crop) prepared.picture = cropped(prepared.picture, height, width);
    prepared.picture = resize(prepared.picture, height, width);
  }
  if (negative) invert(prepared);
  return prepared;
}

Prepared prepare(const Picture& rgba, const Shape& image, const Preparation& preparation,
                 const PictureOptions& options) {
  const bool same_size =
      static_cast<std::int64_t>(rgba.height) == image[1] && static_cast<std::int64_t>(rgba.width) == image[2];
  const Framing framing = options.framing.value_or(same_size ? Framing::fit : preparation.framing);
  if (framing != Framing::mnist) return whole(rgba, image, preparation, options);
  if (image[0] != 1) {
    throw UsageError(fmt::format("--framing mnist is for grey images; the model's are {}", image.str()));
  }
  return framed_as_mnist(rgba, image, preparation, options);
}

}  // namespace

ModelInput model_input(const PictureBytes& file, const Shape& image, const Preparation& preparation,
                       const PictureOptions& options) {
  if (image[0] != 1 && image[0] != 3) {
    throw Error(fmt::format("the model takes images {}: pictures have 1 or 3 channels", image.str()));
  }
  const Picture rgba = decode_picture(file);
  // Of a network that sees transposed images the picture is made upright, and then transposed.
  const Shape upright = options.transpose ? Shape({image[0], image[2], image[1]}) : image;
  ModelInput input;
  try {
    Prepared prepared = prepare(rgba, upright, preparation, options);
    if (options.transpose) {
      prepared.picture = transposed(prepared.picture);
      prepared.how += ", transposed";
    }
    input.pixels = bytes_of(prepared.picture);
    input.how = std::move(prepared.how);
    input.left_out = std::move(prepared.left_out);
    input.note = std::move(prepared.note);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", file.name, error.what()));
  }
  return input;
}

}  // namespace convoy
