#include "kernels/cross_entropy.h"

#include <cmath>

#include "kernels/launch.h"
#include "kernels/pack.h"
#include "kernels/reduce.h"

namespace convoy::kernels {

constexpr unsigned kRowThreads = 256;
constexpr unsigned kRowWarps = kRowThreads / kWarpLanes;
constexpr std::int64_t kMaxWarpClasses = 512;  // beyond, a whole block shares a row

/// The largest logit of a row and the first class that has it.
struct Maximum {
  float value;
  int index;
};

__device__ inline Maximum exchange(Maximum m, int lanes) {
  return {exchange(m.value, lanes), exchange(m.index, lanes)};
}

struct FirstMaximum {
  __device__ Maximum operator()(Maximum a, Maximum b) const {
    const bool nan_a = std::isnan(a.value);
    const bool nan_b = std::isnan(b.value);
    if (nan_a != nan_b) return nan_a ? a : b;
    if (a.value == b.value || nan_a) return a.index < b.index ? a : b;
    return a.value > b.value ? a : b;
  }
};

/// What the softmax is to become.
struct Target {
  float label;   // of the label
  float others;  // of every other class; 0: the label is not smoothed
};

/// The threads that share a row.
struct WarpTeam {
  static constexpr unsigned kSize = kWarpLanes;
  __device__ static unsigned member() { return threadIdx.x % kWarpLanes; }
  __device__ static std::int64_t row() { return global_thread() / kWarpLanes; }
  template <typename T, typename Combine>
  __device__ static T reduce(T value, T, Combine combine) {
    return warp_reduce(value, combine);
  }
};

struct BlockTeam {
  static constexpr unsigned kSize = kRowThreads;
  __device__ static unsigned member() { return threadIdx.x; }
  __device__ static std::int64_t row() { return blockIdx.x; }
  template <typename T, typename Combine>
  __device__ static T reduce(T value, T identity, Combine combine) {
    return block_reduce(value, identity, combine);
  }
};

template <typename Team, typename T>
__device__ void cross_entropy_row(const CrossEntropyBatch& batch, const Target& target, std::int64_t row) {
  const auto classes = static_cast<int>(batch.classes);
  const T* logits = static_cast<const T*>(batch.logits) + row * classes;
  const Maximum none = {-INFINITY, classes};
  Maximum maximum = none;
  for (int c = static_cast<int>(Team::member()); c < classes; c += Team::kSize) {
    maximum = FirstMaximum()(maximum, Maximum{to_float(logits[c]), c});
  }
  maximum = Team::reduce(maximum, none, FirstMaximum());

  float sum = 0.0f;
  for (int c = static_cast<int>(Team::member()); c < classes; c += Team::kSize) {
    sum += std::exp(to_float(logits[c]) - maximum.value);
  }
  sum = Team::reduce(sum, 0.0f, Sum());

  const std::int32_t label = batch.labels[row];
  if (batch.dlogits) {
    T* dlogits = static_cast<T*>(batch.dlogits) + row * classes;
    const float scale = 1.0f / static_cast<float>(batch.mean_over);
    const float inverse_sum = 1.0f / sum;
    for (int c = static_cast<int>(Team::member()); c < classes; c += Team::kSize) {
      const float probability = std::exp(to_float(logits[c]) - maximum.value) * inverse_sum;
      dlogits[c] = from_float<T>((probability - (c == label ? target.label : target.others)) * scale);
    }
  }
  float gaps = 0.0f;  // of all logits to the largest
  if (target.others > 0.0f) {
    for (int c = static_cast<int>(Team::member()); c < classes; c += Team::kSize) {
      gaps += maximum.value - to_float(logits[c]);
    }
    gaps = Team::reduce(gaps, 0.0f, Sum());
  }
  if (Team::member() == 0) {
    const bool valid = label >= 0 && label < classes;
    float gap = valid ? maximum.value - to_float(logits[label]) : NAN;
    if (target.others > 0.0f) gap = (target.label - target.others) * gap + target.others * gaps;
    const float loss = std::log(sum) + gap;
    batch.results[row] = {loss, maximum.index == label ? 1 : 0};
  }
}

// By the last block to arrive, whichever it is: thread t sums rows t, t + 256, ... and a fixed tree does the
// rest. In double, so that an epoch's sum keeps the digits of its last batch.
__device__ void add_to_metrics(const CrossEntropyBatch& batch) {
  double loss = 0.0;
  int correct = 0;
  for (std::int64_t row = threadIdx.x; row < batch.rows; row += kRowThreads) {
    loss += batch.results[row].loss;
    correct += batch.results[row].hit;
  }
  loss = block_reduce(loss, 0.0, Sum());
  correct = block_reduce(correct, 0, Sum());
  if (threadIdx.x == 0) {
    batch.metrics->loss_sum += loss;
    batch.metrics->last_loss = loss / static_cast<double>(batch.mean_over);
    batch.metrics->correct += correct;
    batch.metrics->samples += batch.rows;
  }
}

template <typename Team, typename T>
__global__ void __launch_bounds__(kRowThreads) cross_entropy_kernel(CrossEntropyBatch batch, Target target) {
  const std::int64_t row = Team::row();
  if (row < batch.rows) cross_entropy_row<Team, T>(batch, target, row);
  if (is_last_block(&batch.metrics->arrived, gridDim.x)) add_to_metrics(batch);
}

void cross_entropy(const CrossEntropyBatch& asked, cudaStream_t stream) {
  if (asked.rows == 0) return;
  CrossEntropyBatch batch = asked;
  if (batch.mean_over == 0) batch.mean_over = batch.rows;
  const float share = batch.label_smoothing / static_cast<float>(batch.classes);
  const Target target = {1.0f - batch.label_smoothing + share, share};
  with_dtype(batch.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (batch.classes <= kMaxWarpClasses) {
      launch(cross_entropy_kernel<WarpTeam, T>,
             {.blocks = blocks_for(batch.rows, kRowWarps), .threads = kRowThreads}, stream, batch, target);
    } else {
      launch(cross_entropy_kernel<BlockTeam, T>,
             {.blocks = blocks_for(batch.rows, 1), .threads = kRowThreads}, stream, batch, target);
    }
  });
}

}  // namespace convoy::kernels
