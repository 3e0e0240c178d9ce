#include "apps/convoy/page_profile.h"

#include <algorithm>

namespace convoy {

TrainOptions with_page_profile(const Training& training) {
  const TrainFlags& flags = training.flags;
  TrainOptions options = flags.options;
  if (flags.no_report || options.profile_steps > 0 || !flags.seeds.seeds.empty()) return options;
  const auto& resumed = training.resumed;
  const std::int64_t batch = options.batch_size * training.device.backend->group().size();
  const std::int64_t done = resumed && resumed->state ? snapshot_for(*resumed, batch).position.step : 0;
  const std::int64_t left = training.data.pair.train.count() / batch - done;
  constexpr std::int64_t kSteps = 5;
  options.profile_steps = std::clamp<std::int64_t>(left - kProfileWarmup, 0, kSteps);
  return options;
}

}  // namespace convoy
