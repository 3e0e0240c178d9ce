// What run.json tells of a training.
#pragma once

#include "apps/convoy/train_data.h"
#include "apps/convoy/train_flags.h"
#include "engine/backend/backend.h"

namespace convoy {

/// A training as run.json and the event `run` describe it, before there are results. `given` is that of
/// given_flags.
Json describe(const TrainFlags& flags, const Json& given, const TrainData& data, const Model& model,
              const BackendChoice& device);

}  // namespace convoy
