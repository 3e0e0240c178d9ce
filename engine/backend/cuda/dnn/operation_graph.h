// A small graph of tensor operations, written down before cuDNN sees it. Shapes are inferred and checked
// here, with our own messages: cuDNN accepts some wrong ones in silence (a dimension of 0, twice the same id,
// channels that are a multiple of the weights' and so mean a grouped convolution).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/dtype.h"
#include "convoy/shape.h"
#include "engine/model/window.h"

namespace convoy::cuda::dnn {

/// The part a tensor plays in a layer. It is the tensor's unique id in a graph, and what memory is bound to.
enum class Role : std::int64_t {
  none = 0,  // a virtual tensor, which never leaves the kernel
  x,
  weight,
  bias,
  y,
  dy,
  dx,
  dweight,
  dbias,
  index,
  scale,
  dscale,
  saved_mean,
  saved_inv_std,
  running_mean,
  running_var,
  next_running_mean,
  next_running_var,
  epsilon,
  momentum,
};

/// Logical N,C,H,W; in memory N,H,W,C, packed and aligned to 16 bytes.
struct GraphTensor {
  Shape shape;
  DType type = DType::float32;
  Role role = Role::none;
  bool by_value = false;  // a float that the host passes along; a captured CUDA graph keeps the one it saw
};

/// Names a tensor within its graph.
struct Value {
  std::size_t index = 0;
};

enum class Operator {
  convolve,                  // x, weight -> y
  convolve_backward_data,    // dy, weight -> dx
  convolve_backward_weight,  // x, dy -> dweight
  add,                       // a, b -> y; b may be [1, C, 1, 1]
  relu,                      // x -> y
  relu_backward,             // dy, x -> dx
  batch_norm_training,       // x, scale, bias, epsilon, momentum, running mean, running var
                             //   -> y, saved mean, saved inverse std, next running mean, next running var
  batch_norm_inference,      // x, scale, bias, saved mean, saved inverse std -> y
  batch_norm_backward,       // x, dy, scale, saved mean, saved inverse std -> dx, dscale, dbias
  pool,                      // x -> y [, index if max]
  pool_backward,             // dy [, index if max] -> dx
};

enum class Pooling { max, average_include_padding, average_exclude_padding };

struct Node {
  Operator op;
  std::vector<Value> inputs;  // in the order given at the operator
  std::vector<Value> outputs;
  Window window{};                 // of convolutions and poolings
  Pooling pooling = Pooling::max;  // of poolings
};

struct BatchNormOutputs {
  Value y, saved_mean, saved_inv_std, next_running_mean, next_running_var;
};

struct BatchNormGradients {
  Value dx, dscale, dbias;
};

struct PoolOutputs {
  Value y, index;  // index: of max pooling only, INT8
};

class OperationGraph {
 public:
  /// `name` is what errors, tables and caches call it: "conv.fprop".
  explicit OperationGraph(std::string name) : name_(std::move(name)) {}

  /// A tensor in memory. Throws UsageError for a shape that is not rank 4 and positive, or a role that is
  /// taken.
  Value input(Role role, const Shape& shape, DType type = DType::float32);
  /// A float that is passed by value at each execution.
  Value scalar(Role role);

  // Each operation gives virtual tensors, of `float32` unless it says otherwise, to be used by the next one
  // or made an output. They throw UsageError, naming the graph and both shapes, for operands that do not fit.
  Value convolve(Value x, Value weight, const Window& window);
  Value convolve_backward_data(Value dy, Value weight, const Window& window, const Shape& x);
  Value convolve_backward_weight(Value x, Value dy, const Window& window, const Shape& weight);
  Value add(Value a, Value b) { return pointwise(Operator::add, a, b); }
  Value relu(Value x);
  /// In the type of `dy`: a mask rounds nothing, and with bf16 cuDNN plans a batch norm behind it only so.
  Value relu_backward(Value dy, Value x) {
    return pointwise(Operator::relu_backward, dy, x, tensors_.at(dy.index).type);
  }
  PoolOutputs pool(Value x, const Window& window, Pooling pooling);
  /// `index` is ignored unless pooling is max.
  Value pool_backward(Value dy, Value index, const Window& window, Pooling pooling, const Shape& x);

  struct BatchNormInputs {
    Value x, scale, bias, epsilon, momentum, running_mean, running_var;
  };
  BatchNormOutputs batch_norm_training(const BatchNormInputs& in);
  Value batch_norm_inference(Value x, Value scale, Value bias, Value mean, Value inv_std);
  BatchNormGradients batch_norm_backward(Value x, Value dy, Value scale, Value mean, Value inv_std);

  /// Has a virtual tensor written to memory. Throws UsageError if the role is taken.
  void output(Value value, Role role, DType type = DType::float32);

  const std::string& name() const { return name_; }
  /// For messages: the name and the operands of the first operation, "conv2d.fprop of [100, 1, 28, 28] and
  /// [16, 1, 5, 5]".
  std::string str() const;
  const std::vector<GraphTensor>& tensors() const { return tensors_; }
  const std::vector<Node>& nodes() const { return nodes_; }

  /// Everything that decides which plan it gets, as text: the key of a plan cache.
  std::string signature() const;

 private:
  Value pointwise(Operator op, Value a, Value b, DType type = DType::float32);
  Value virtual_tensor(const Shape& shape, DType type = DType::float32);
  const Shape& shape_of(Value value) const { return tensors_.at(value.index).shape; }
  void take_role(Role role) const;
  [[noreturn]] void refuse(const std::string& what, Value a, Value b) const;
  void require_channels(const char* what, Value x, std::initializer_list<Value> vectors) const;

  std::string name_;
  std::vector<GraphTensor> tensors_;
  std::vector<Node> nodes_;
};

}  // namespace convoy::cuda::dnn
