/// @file
/// How the images of a data set were made: what a picture must be made into before a model sees it.
#pragma once

#include <string>
#include <vector>

namespace convoy {

/// How a byte becomes the model's input: (byte / 255 - mean) / std, per channel. The default is the same as
/// torchvision's ToTensor.
struct Normalization {
  std::vector<float> mean = {0.0f};  ///< one value for all channels, or one for each; of byte / 255
  std::vector<float> std = {1.0f};   ///< likewise, each above 0
};

/// How what is drawn was put into the images.
enum class Framing {
  mnist,  ///< cut out, scaled into a box of 20 of 28 pixels, its centre of mass placed in the middle
  fit,    ///< it was not: an image is a whole picture, scaled
  none,   ///< likewise, and pictures of another size are not scaled but refused
  crop,   ///< likewise, but what exceeds the image's proportions is cut off on both sides before
};

/// What the border of the images is.
enum class Background {
  dark,   ///< of nearly all: light things on black, as in MNIST
  light,  ///< of nearly all
  mixed,  ///< neither, or not known
};

/// What was done to a data set that a model was trained on. `convoy train` keeps it in the model's file, and
/// `convoy predict` does it to pictures.
struct Preparation {
  std::string dataset;                        ///< the data set's name, which names the classes: "mnist"
  Normalization normalization;                ///< of the model's input
  Framing framing = Framing::fit;             ///< how a picture of another size is put into the model's
  Background background = Background::mixed;  ///< what `predict` compares a picture's with
  bool transposed = false;  ///< rows and columns of the files' images were exchanged on loading
  std::vector<std::string>
      classes;                   ///< their names; empty: those that the data set is known to have, or numbers
  bool left_transposed = false;  ///< they should have been, but were not, as the caller wanted
};

}  // namespace convoy
