// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
// (SC 2011). A draw is a pure function of (key, counter). So the initial weights, the order of batches and
// the dropout masks are the same on every backend, whatever the order of threads.
#pragma once

#include <cstdint>

#include "engine/core/host_device.h"

namespace convoy {

/// Four 32-bit words: the counter that philox() takes, or the draw that it returns.
struct Philox4 {
  std::uint32_t word[4];
};

/// One draw, in ten rounds. `key` is the seed. Distinct counters give independent draws.
HOST_DEVICE inline Philox4 philox(std::uint64_t key, Philox4 counter) {
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = 0xD2511F53ull * counter.word[0];
    const std::uint64_t product1 = 0xCD9E8D57ull * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;  // the golden ratio and sqrt(3) - 1, as in the paper
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// One word of a draw as a float in [0, 1). Only its upper 24 bits count: a float's mantissa has no more.
HOST_DEVICE inline float uniform_float(std::uint32_t draw) {
  return static_cast<float>(draw >> 8) * 0x1p-24f;
}

/// One of the four words, `index` from 0 to 3. By comparisons: a GPU would put an array that is indexed by a
/// variable into local memory.
HOST_DEVICE inline std::uint32_t word_at(const Philox4& draw, unsigned index) {
  const std::uint32_t low = index % 2 == 0 ? draw.word[0] : draw.word[1];
  const std::uint32_t high = index % 2 == 0 ? draw.word[2] : draw.word[3];
  return index < 2 ? low : high;
}

/// Each user of random numbers has its own stream. Streams of one seed are independent of each other.
struct RandomStream {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;
  /// Which of the stream's numbers is the user's number 0: processes that share a batch draw what one with
  /// the whole batch would.
  std::uint64_t first = 0;
};

/// Number `index` of the uniform [0, 1) numbers that belong to (seed, stream, step). Used by dropout.
HOST_DEVICE inline float uniform_at(RandomStream random, std::uint32_t step, std::uint64_t index) {
  index += random.first;
  const std::uint64_t block = index / 4;
  const Philox4 draw = philox(random.seed, {{static_cast<std::uint32_t>(block),
                                             static_cast<std::uint32_t>(block >> 32), step, random.stream}});
  return uniform_float(word_at(draw, static_cast<unsigned>(index % 4)));
}

/// The numbers of one (seed, stream, step) one after another: for initialisation and shuffling on the host.
class PhiloxSequence {
 public:
  PhiloxSequence(RandomStream random, std::uint32_t step = 0) : random_(random), step_(step) {}

  std::uint32_t next() {
    if (used_ == 4) {
      draw_ = philox(random_.seed, {{static_cast<std::uint32_t>(block_),
                                     static_cast<std::uint32_t>(block_ >> 32), step_, random_.stream}});
      ++block_;
      used_ = 0;
    }
    return draw_.word[used_++];
  }

  /// Uniform in [low, high), with 24 random bits.
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(uniform_float(next()));
  }

  /// Uniform in [0, bound), without bias (Lemire, 2019). `bound` is not 0.
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{next()} * bound;
    const std::uint32_t threshold = (0u - bound) % bound;
    while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{next()} * bound;
    return static_cast<std::uint32_t>(product >> 32);
  }

 private:
  RandomStream random_;
  std::uint32_t step_;
  std::uint64_t block_ = 0;
  Philox4 draw_{};
  unsigned used_ = 4;
};

}  // namespace convoy
