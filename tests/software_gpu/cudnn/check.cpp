// Shapes, types and connections of an operation graph, checked where the real library accepts some nonsense
// in silence.
#include "tests/software_gpu/cudnn/program.h"

namespace software_gpu {
namespace {

Dims channel_dims(const Dims& image) { return {1, image[1], 1, 1}; }

std::int64_t extent_out(std::int64_t in, std::int64_t kernel, std::int64_t padding, std::int64_t stride,
                        std::int64_t dilation) {
  const std::int64_t room = in + 2 * padding - (dilation * (kernel - 1) + 1);
  return room < 0 ? 0 : room / stride + 1;
}

std::string check_window(const OperationInfo& op) {
  for (const auto& [name, values] : op.window) {
    if (values.size() != 2) return name + " has not two values";
    for (const std::int64_t value : values) {
      if (value < (name == "padding" ? 0 : 1)) return name + " is too small";
    }
  }
  return {};
}

std::string check_convolution(const Program& p, const OperationInfo& op, const char* x_name,
                              const char* w_name, const char* y_name) {
  const TensorInfo& x = p.tensor(op, x_name);
  const TensorInfo& w = p.tensor(op, w_name);
  const TensorInfo& y = p.tensor(op, y_name);
  if (const std::string wrong = check_window(op); !wrong.empty()) return wrong;
  const std::int64_t groups = x.dims[1] / w.dims[1];
  if (x.dims[1] % w.dims[1] != 0 || w.dims[0] % groups != 0) return "channels do not divide into groups";
  if (y.dims[0] != x.dims[0] || y.dims[1] != w.dims[0]) return "batch or output channels do not fit";
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t expected =
        extent_out(x.dims[2 + axis], w.dims[2 + axis], op.window.at("padding")[axis],
                   op.window.at("stride")[axis], op.window.at("dilation")[axis]);
    if (y.dims[2 + axis] != expected) return "the output's size is not what the window gives";
  }
  return {};
}

std::string check_pointwise(const Program& p, const OperationInfo& op) {
  const bool backward = op.mode == CUDNN_POINTWISE_RELU_BWD;
  const bool binary = op.mode == CUDNN_POINTWISE_ADD;
  if (!backward && !binary && op.mode != CUDNN_POINTWISE_RELU_FWD) return "a pointwise mode not simulated";
  if (op.has("b") != binary || op.has("dy") != backward || op.has("dx") != backward ||
      op.has("y") == backward) {
    return "the operands do not fit the pointwise mode";
  }
  const Dims& x = p.tensor(op, "x").dims;
  if (p.tensor(op, backward ? "dx" : "y").dims != x) return "a pointwise output has another shape";
  if (backward && p.tensor(op, "dy").dims != x) return "a pointwise gradient has another shape";
  if (binary) {
    for (std::size_t axis = 0; axis < 4; ++axis) {
      const std::int64_t b = p.tensor(op, "b").dims[axis];
      if (b != x[axis] && b != 1) return "b does not broadcast";
    }
  }
  return {};
}

std::string check_norm(const Program& p, const OperationInfo& op) {
  const bool backward = op.type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR;
  const bool training = !backward && op.mode == CUDNN_NORM_FWD_TRAINING;
  const bool statistics = op.has("epsilon") && op.has("momentum") && op.has("running_mean") &&
                          op.has("running_var") && op.has("next_running_mean") && op.has("next_running_var");
  if (training && !statistics) return "training needs epsilon, momentum and running statistics";
  const TensorInfo& x = p.tensor(op, "x");
  for (const auto& [name, uid] : op.operands) {
    const TensorInfo& t = p.tensors.at(uid);
    const bool scalar = name == "epsilon" || name == "momentum";
    const bool image = name == "x" || name == "y" || name == "dy" || name == "dx";
    if (scalar && (!t.by_value || t.count() != 1)) return name + " is not a scalar by value";
    if (image && t.dims != x.dims) return name + " has another shape than x";
    if (!scalar && !image && (t.dims != channel_dims(x.dims) || t.type != CUDNN_DATA_FLOAT)) {
      return name + " is not one fp32 value for each channel";
    }
  }
  return {};
}

std::string check_resample(const Program& p, const OperationInfo& op, const char* x_name,
                           const char* y_name) {
  const TensorInfo& x = p.tensor(op, x_name);
  const TensorInfo& y = p.tensor(op, y_name);
  if (const std::string wrong = check_window(op); !wrong.empty()) return wrong;
  if (x.dims[0] != y.dims[0] || x.dims[1] != y.dims[1]) return "batch or channels change";
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t expected = extent_out(x.dims[2 + axis], op.window.at("kernel")[axis],
                                             op.window.at("padding")[axis], op.window.at("stride")[axis], 1);
    if (y.dims[2 + axis] != expected) return "the output's size is not what the window gives";
  }
  const bool max = op.mode == CUDNN_RESAMPLE_MAXPOOL;
  // The real library crashes without one on this layout.
  if (op.has("index") != max) return "max pooling needs an index, and no other";
  if (max && (p.tensor(op, "index").dims != y.dims || p.tensor(op, "index").type != CUDNN_DATA_INT8)) {
    return "the index is not INT8 of the output's shape";
  }
  return {};
}

}  // namespace

std::string check_operation(const Program& p, const OperationInfo& op) {
  switch (op.type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return check_convolution(p, op, "x", "w", "y");
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return check_convolution(p, op, "dx", "w", "dy");
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return check_convolution(p, op, "x", "dw", "dy");
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      return check_pointwise(p, op);
    case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR:
      return check_norm(p, op);
    case CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR:
      return check_resample(p, op, "x", "y");
    case CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR:
      return check_resample(p, op, "dx", "dy");
    default:
      return "an operation that is not simulated";
  }
}

std::string check_connections(const Program& p) {
  std::set<std::int64_t> made;
  std::set<std::int64_t> used;
  for (const OperationInfo& op : p.operations) {
    for (const auto& [name, uid] : op.operands) {
      if (op.outputs.contains(name)) continue;
      used.insert(uid);
      if (p.tensors.at(uid).is_virtual && !made.contains(uid))
        return "a virtual tensor is read before it is made";
    }
    for (const std::string& output : op.outputs) {
      const std::int64_t uid = op.operands.at(output);
      if (p.tensors.at(uid).by_value) return "an output is passed by value";
      if (!made.insert(uid).second) return "two operations write one tensor";
    }
  }
  for (const auto& [uid, tensor] : p.tensors) {
    if (tensor.is_virtual && !used.contains(uid)) return "a virtual tensor is never read";
  }
  return {};
}

}  // namespace software_gpu
