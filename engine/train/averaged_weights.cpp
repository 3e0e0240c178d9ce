#include "engine/train/averaged_weights.h"

#include <exception>

namespace convoy {

AveragedWeights::AveragedWeights(NetworkState& state)
    : ema_(state.ema && state.counter->read() > state.ema->begun() ? state.ema.get() : nullptr) {
  if (ema_) ema_->swap();
}

AveragedWeights::~AveragedWeights() {
  if (!ema_) return;
  try {
    ema_->swap();
  } catch (const std::exception&) {
    // The device failed, and whatever waits for it next says so.
  }
}

}  // namespace convoy
