/// @file
/// How training images are varied, and test images where an evaluation takes several views of them.
#pragma once

#include <cstdint>

namespace convoy {

/// Which training images are mirrored, left to right.
enum class Flip {
  none,         ///< none
  random,       ///< each with probability 1/2
  alternating,  ///< a random half in one epoch, the others in the next, and so on: each in every second one
};

/// What lies beyond an image's edge.
enum class Padding {
  zeros,    ///< black, as of torchvision's RandomCrop(padding=p)
  reflect,  ///< the image, mirrored at its outermost pixels, as of padding_mode="reflect"
};

/// Random changes of training images, drawn anew for every sample of every step. The defaults change nothing.
/// An image is first flipped, then rotated and scaled, then shifted; at last a square is cut out of it.
struct AugmentationOptions {
  /// An image moves by up to that many pixels up or down and left or right, each number of them as likely as
  /// another. From 0 to one less than the smaller side of the image. It is torchvision's RandomCrop of the
  /// image's own size with so much padding.
  std::int32_t max_shift = 0;
  Flip flip = Flip::none;            ///< left to right
  Padding padding = Padding::zeros;  ///< what moves in
  /// The side of a square, around a pixel that may be any of the image, in which all channels become 0 after
  /// normalisation: the mean colour where the data are normalised by theirs (DeVries and Taylor, 2017).
  /// What of the square lies outside is not made up for. From 0 to the smaller side of the image.
  std::int32_t cutout = 0;
  double max_rotation = 0.0;  ///< by up to that many degrees either way, about the middle; from 0 to 180
  /// An image becomes larger or smaller by up to that fraction, about its middle; from 0 to 0.5. Both are
  /// those of torchvision's RandomAffine(degrees, scale=(1 - f, 1 + f)), bilinear, rounded to bytes.
  double max_scaling = 0.0;
};

/// Of how many views of an image an evaluation takes the mean of the logits. Both off: of the image alone.
/// Both on are the six views of the airbench programs (K. Jordan, 2024): image and mirror image count half,
/// the shifted ones the other half.
struct TestTimeAugmentation {
  bool flip = false;   ///< the mirror images, too
  bool shift = false;  ///< moved by one pixel up and left, and down and right, too; reflect padding
  bool operator==(const TestTimeAugmentation&) const = default;  ///< whether the views are the same
};

}  // namespace convoy
