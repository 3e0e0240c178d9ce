/// @file
/// The result of an evaluation, and a data set that is ready to be evaluated again and again.
#pragma once

#include <cstdint>
#include <vector>

namespace convoy {

/// How well a model does on a data set, in evaluation mode.
struct Evaluation {
  double loss = 0.0;         ///< mean cross-entropy over the samples
  double accuracy = 0.0;     ///< 0 to 1
  std::int64_t samples = 0;  ///< how many were evaluated: all of the data set
};

/// An evaluation, and what the model put out for each sample in it.
struct DetailedEvaluation {
  Evaluation total;            ///< as Evaluator::evaluate gives it, to the bit
  std::vector<double> logits;  ///< [samples, classes], row-major, in the data set's order
};

/// A data set on the device, to be evaluated more than once: it is uploaded once. Made by a Trainer or an
/// Inference, which it must not outlive. Each call uses the weights that the model has at that moment.
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  /// Evaluates the whole data set. An observer of Trainer::fit may call this: the training goes on unchanged.
  /// Throws Error if the device fails.
  virtual Evaluation evaluate() = 0;

  /// The same in one pass, with the logits. In a group it is rank 0 that gets them; the others have none.
  virtual DetailedEvaluation evaluate_in_detail() = 0;

  /// Logits [count, classes], row-major, in the data set's order. May be called where evaluate may.
  virtual std::vector<double> predict() = 0;
};

}  // namespace convoy
