// The images that `convoy train` trains on, tests on and holds out.
#pragma once

#include <optional>

#include "apps/convoy/setup.h"
#include "apps/convoy/train_flags.h"

namespace convoy {

/// The data, and how its images were prepared.
struct TrainData : LoadedData {
  Preparation preparation;
  std::optional<Dataset> validation;  // the last training images, if any are held out
};

/// `earlier` tells of the images of what is gone on from, if that is known. Throws as load_data, and
/// UsageError for limits that leave too little.
TrainData load_train_data(const TrainFlags& flags, const std::optional<Preparation>& earlier);

/// Notes it if a model has more outputs than the data have classes, as a model file may.
void note_idle_outputs(std::int64_t outputs, std::int64_t classes);

}  // namespace convoy
