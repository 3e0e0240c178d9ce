// Runs an operation graph on the host: in double, every tensor rounded to its declared type.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "tests/software_gpu/cudnn/program.h"

namespace software_gpu {

/// One tensor's elements in the order of memory: N,H,W,C.
using Values = std::vector<double>;

/// One operation and the values of all tensors.
class Evaluation {
 public:
  Evaluation(const Program& program, const OperationInfo& op, std::map<std::int64_t, Values>& values)
      : program_(program), op_(op), values_(values) {}

  const OperationInfo& op() const { return op_; }
  const Dims& dims(const char* operand) const { return program_.tensor(op_, operand).dims; }
  const Values& in(const char* operand) const { return values_.at(op_.operands.at(operand)); }
  double scalar(const char* operand) const { return in(operand).at(0); }
  std::int64_t window(const char* name, std::size_t axis) const { return op_.window.at(name).at(axis); }
  /// Zero, to be filled.
  Values& out(const char* operand) {
    Values& values = values_[op_.operands.at(operand)];
    values.assign(static_cast<std::size_t>(program_.tensor(op_, operand).count()), 0.0);
    return values;
  }

 private:
  const Program& program_;
  const OperationInfo& op_;
  std::map<std::int64_t, Values>& values_;
};

// Each runs one kind of operation.
void evaluate_convolution(Evaluation& e, bool tf32);
void evaluate_pointwise(Evaluation& e);
void evaluate_norm(Evaluation& e);
void evaluate_resample(Evaluation& e);

/// `memory` holds device memory for every tensor that is not virtual, by unique id; by-value scalars, read
/// when the graph was executed, are in `scalars`.
struct Bound {
  std::shared_ptr<const Program> program;
  std::map<std::int64_t, void*> memory;
  std::map<std::int64_t, double> scalars;
  bool tf32 = false;
};
void interpret(const Bound& bound);

}  // namespace software_gpu
