// What batch norm computes for each channel, apart from its passes over whole planes: statistics, from which
// follow the factors that the passes take, and the gradients of weight and bias.
#pragma once

#include <memory>
#include <vector>

#include "engine/backend/cpu/channel_rows.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {

class BatchNormChannels {
 public:
  /// For an x of those rows; over those of all processes of `group`, if there is one. Throws UsageError for
  /// tensors that do not fit the layer.
  BatchNormChannels(const BatchNorm2d& layer, const BatchNormTensors& tensors, const Shape& x,
                    const ChannelRows& rows, Communicator* group);

  /// Whether a parameter wants its gradient.
  bool with_grad() const { return weight_.grad || bias_.grad; }

  /// Before a forward: from the statistics of a batch, which also move the running ones, or from these.
  template <typename T>
  void prepare(Phase phase, const T* x);

  /// Sums over each channel of g and of g (x - mean), g being the gradient behind batch norm:
  /// `add(plane, block, sum, products)` as ChannelSums has it. Writes the gradients of weight and bias and
  /// what `slope` and `constant` give.
  template <typename Add>
  void sum_gradients(Add add) {
    sums_.run(Walk::forward, add);
    finish_gradients();
  }

  // Of a block's channels, each for a row. y = (x - mean) scale + shift;
  // dx = scale g + slope (x - mean) + constant.
  Row mean(std::int64_t block) const { return rows_.spread(mean_, block); }
  Row scale(std::int64_t block) const { return rows_.spread(scale_, block); }
  Row shift(std::int64_t block) const { return rows_.spread(shift_, block); }
  Row slope(std::int64_t block) const { return rows_.spread(slope_, block); }
  Row constant(std::int64_t block) const { return rows_.spread(constant_, block); }

 private:
  void set(std::size_t channel, double mean, double variance);
  template <typename T>
  std::vector<float> first_means(const T* x) const;
  template <typename T>
  void measure(const T* x);
  void share_moments();
  void update(float& running, double batch) const;
  void finish_gradients();

  BatchNorm2d layer_;
  Bound weight_, bias_;
  std::shared_ptr<CpuTensor> running_mean_, running_var_;
  Shape x_shape_;
  ChannelRows rows_;
  ChannelSums sums_;
  Communicator* group_;                             // null for this process alone
  double count_;                                    // of the values of a channel, here
  double total_count_;                              // and in all processes, from forward
  std::vector<double> batch_mean_, batch_squares_;  // of each channel; squares of deviations, summed
  // By padded channel; zero for those of the padding.
  std::vector<float> mean_, inverse_std_, scale_, shift_, slope_, constant_;
};

}  // namespace convoy::cpu
