// What a report shows as pictures.
#pragma once

#include <cstddef>
#include <vector>

#include "apps/convoy/classification.h"
#include "apps/convoy/report/html.h"
#include "convoy/dataset.h"
#include "convoy/host_tensor.h"

namespace convoy {

/// The picture with sides of at most so many pixels: means of squares, if it is larger.
Picture8 shrunk(const Picture8& picture, int most);

/// One image of a data set, as grey or, if it has three channels, as colour. Of other numbers of channels it
/// is the first. One of more than 224 pixels a side is shrunk.
Picture8 pixels_of(const Dataset& dataset, std::size_t sample);

/// The filters of the first convolution in the state dict, 64 at most, all on one scale: 128 is a weight of
/// 0. Of three input channels they are colours, else the first channel's. None if there is no convolution of
/// more than one pixel.
std::vector<Picture8> first_filters(const StateDict& state);

/// A pixel for each pair of classes, [truth, predicted]: the lighter, the larger its part of the truth's
/// samples.
Picture8 confusion_pixels(const Classification& result);

}  // namespace convoy
