// The profile that the page about a run shows where nobody asked for another.
#pragma once

#include "apps/convoy/training.h"

namespace convoy {

/// The options of a training, with a profile of five steps for the page if it is to be written and the first
/// epoch has room for one. It changes no bit. Seeds have none: on a GPU they share the device. All ranks of a
/// group get the same.
TrainOptions with_page_profile(const Training& training);

}  // namespace convoy
