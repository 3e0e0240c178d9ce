#include "apps/convoy/train_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "engine/backend/checks.h"

namespace convoy {

namespace {

/// What the model file says of its images, and those that training goes on from. A built-in model takes any.
WantedImages wanted_images(const TrainFlags& flags, const std::optional<Preparation>& earlier) {
  WantedImages wanted;
  const auto built_in = builtin_model_names();
  if (std::ranges::find(built_in, flags.model) == built_in.end())
    wanted.image = resolve_model(flags.model, {}).input;
  if (earlier) wanted.classes = earlier->classes;
  return wanted;
}

}  // namespace

TrainData load_train_data(const TrainFlags& flags, const std::optional<Preparation>& earlier) {
  TrainData data{
      load_data(flags.data, !flags.json, /*allow_stand_in=*/flags.init.empty() && flags.resume.empty(),
                wanted_images(flags, earlier)),
      {},
      {}};
  Dataset& train = data.pair.train;
  const bool left_transposed = prepare(data.pair, flags.images, earlier ? &*earlier : nullptr);
  train = take(std::move(train), flags.limit_train);
  data.pair.test = take(std::move(data.pair.test), flags.limit_test);
  if (flags.validation > 0) {
    if (flags.validation >= train.count()) {
      throw UsageError(fmt::format("--validation {} leaves none of the {} training images", flags.validation,
                                   train.count()));
    }
    const std::int64_t left = train.count() - flags.validation;
    data.validation = drop(train, left);
    train = take(std::move(train), left);
  }
  if (flags.options.batch_size > train.count()) {
    throw UsageError(fmt::format("--batch-size {} is larger than the {} training images{}",
                                 flags.options.batch_size, train.count(),
                                 flags.validation > 0 ? " that --validation leaves" : ""));
  }
  check_augmentation(flags.options.augmentation, train.image);
  data.preparation = measure_preparation(train, data.location.dataset);
  data.preparation.left_transposed = left_transposed;
  return data;
}

void note_idle_outputs(std::int64_t outputs, std::int64_t classes) {
  if (outputs <= classes) return;
  say_note(fmt::format(
      "the model has {} outputs, the data {} classes: no image teaches the other {}, which predict lists by "
      "their numbers",
      outputs, classes, outputs - classes));
}

}  // namespace convoy
