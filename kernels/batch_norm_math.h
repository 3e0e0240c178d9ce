// The statistics of batch norm, the same on the device and on the host.
#pragma once

#include "engine/core/host_device.h"

namespace convoy {

/// Count, mean and sum of squared deviations of a set of numbers (Welford, 1962).
struct Moments {
  float count;
  float mean;
  float squares;
};

HOST_DEVICE inline void add_value(Moments& moments, float value) {
  moments.count += 1.0f;
  const float delta = value - moments.mean;
  moments.mean += delta / moments.count;
  moments.squares += delta * (value - moments.mean);
}

/// The moments of two sets together (Chan, Golub and LeVeque, 1979).
HOST_DEVICE inline Moments merged(const Moments& a, const Moments& b) {
  if (a.count == 0.0f) return b;
  if (b.count == 0.0f) return a;
  const float count = a.count + b.count;
  const float delta = b.mean - a.mean;
  const float share = b.count / count;
  return {count, a.mean + delta * share, a.squares + b.squares + delta * delta * a.count * share};
}

}  // namespace convoy
