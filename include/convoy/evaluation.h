/// @file
/// What an evaluation finds, and a data set that is made ready to be evaluated.
#pragma once

#include <cstdint>
#include <vector>

namespace convoy {

struct Evaluation {
  double loss = 0.0;      ///< mean
  double accuracy = 0.0;  ///< 0 to 1
  std::int64_t samples = 0;
};

/// A data set on the device, with the recorded steps that evaluate it: it is uploaded once, however often it
/// is evaluated. Made by a Trainer or an Inference, which it must not outlive; it sees the weights of now.
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  /// Leaves what a training has counted of its running epoch as it is.
  virtual Evaluation evaluate() = 0;

  /// Logits [count, classes], row-major, in the data set's order.
  virtual std::vector<double> predict() = 0;
};

}  // namespace convoy
