// Changes here change plans: raise kPlanningVersion (planner.h), or caches go on with the old ones.
#include "engine/backend/cuda/dnn/lower.h"

#include <array>

namespace convoy::cuda::dnn {
namespace {

constexpr std::int64_t kAlignment = 16;       // bytes; less loses cuDNN most of its engines
constexpr std::int64_t kFirstVirtual = 1000;  // ids of virtual tensors, above every role

cudnnDataType_t type_of(DType type) {
  switch (type) {
    case DType::float32:
      return CUDNN_DATA_FLOAT;
    case DType::bfloat16:
      return CUDNN_DATA_BFLOAT16;
    case DType::int8:
      return CUDNN_DATA_INT8;
    case DType::int32:
    case DType::int64:
      break;
  }
  throw Error("cuDNN's graphs here have no tensors of int32 or int64");
}

// N,H,W,C packed.
std::array<std::int64_t, 4> strides_of(const Shape& s) { return {s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]}; }

Descriptor tensor(const GraphTensor& spec, std::int64_t id) {
  const std::array<std::int64_t, 4> strides = strides_of(spec.shape);
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type_of(spec.type))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, spec.shape.dimensions())
      .set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const std::int64_t>(strides))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, spec.by_value ? std::int64_t{sizeof(float)} : kAlignment);
  if (spec.role == Role::none) d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
  if (spec.by_value) d.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, true);
  return d.finalize();
}

std::span<const std::int64_t> span_of(const Extent& extent) { return extent; }

Descriptor convolution(const Window& w) {
  Descriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  d.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, span_of(w.padding))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, span_of(w.padding))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, span_of(w.stride))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, span_of(w.dilation));
  return d.finalize();
}

Descriptor resample(const Window& w, Pooling pooling) {
  const auto fractions = [](const Extent& e) {
    return std::array<cudnnFraction_t, 2>{{{e[0], 1}, {e[1], 1}}};
  };
  const auto mode = pooling == Pooling::max                       ? CUDNN_RESAMPLE_MAXPOOL
                    : pooling == Pooling::average_include_padding ? CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING
                                                                  : CUDNN_RESAMPLE_AVGPOOL_EXCLUDE_PADDING;
  const auto kernel = fractions(w.kernel_size);
  const auto padding = fractions(w.padding);
  const auto stride = fractions(w.stride);
  using Fractions = std::span<const cudnnFraction_t>;
  Descriptor d(CUDNN_BACKEND_RESAMPLE_DESCRIPTOR);
  d.set(CUDNN_ATTR_RESAMPLE_MODE, mode)
      .set(CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_PROPAGATE_NAN)
      .set(CUDNN_ATTR_RESAMPLE_PADDING_MODE, pooling == Pooling::max ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD)
      .set(CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, Fractions(kernel))
      .set(CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, Fractions(padding))
      .set(CUDNN_ATTR_RESAMPLE_POST_PADDINGS, Fractions(padding))
      .set(CUDNN_ATTR_RESAMPLE_STRIDES, Fractions(stride));
  return d.finalize();
}

Descriptor pointwise(cudnnPointwiseMode_t mode) {
  Descriptor d(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  return d.set(CUDNN_ATTR_POINTWISE_MODE, mode)
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT)
      .finalize();
}

// Turns one node into an operation descriptor, given the descriptors of all tensors.
class NodeLowering {
 public:
  NodeLowering(const Node& node, const std::vector<Descriptor>& tensors) : node_(node), tensors_(tensors) {}

  Descriptor operation() const {
    switch (node_.op) {
      case Operator::convolve:
        return convolve();
      case Operator::convolve_backward_data:
        return convolve_backward_data();
      case Operator::convolve_backward_weight:
        return convolve_backward_weight();
      case Operator::add:
        return binary(CUDNN_POINTWISE_ADD);
      case Operator::relu:
        return relu();
      case Operator::relu_backward:
        return relu_backward();
      case Operator::batch_norm_training:
        return batch_norm_training();
      case Operator::batch_norm_inference:
        return batch_norm_inference();
      case Operator::batch_norm_backward:
        return batch_norm_backward();
      case Operator::pool:
        return pool();
      case Operator::pool_backward:
        return pool_backward();
    }
    throw Error("unknown graph operator");
  }

 private:
  const Descriptor& in(std::size_t i) const { return tensors_.at(node_.inputs.at(i).index); }
  const Descriptor& out(std::size_t i) const { return tensors_.at(node_.outputs.at(i).index); }

  Descriptor convolve() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, in(0))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, in(1))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, out(0))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, convolution(node_.window))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.0f)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0f)
        .finalize();
  }

  Descriptor convolve_backward_data() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, in(0))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, in(1))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, out(0))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, convolution(node_.window))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0f)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0f)
        .finalize();
  }

  Descriptor convolve_backward_weight() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, in(0))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, in(1))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, out(0))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, convolution(node_.window))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1.0f)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 0.0f)
        .finalize();
  }

  Descriptor binary(cudnnPointwiseMode_t mode) const {
    Descriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(mode))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, in(0))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, in(1))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out(0))
        .finalize();
  }

  Descriptor relu() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(CUDNN_POINTWISE_RELU_FWD))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, in(0))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out(0))
        .finalize();
  }

  Descriptor relu_backward() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(CUDNN_POINTWISE_RELU_BWD))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, in(0))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, in(1))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, out(0))
        .finalize();
  }

  Descriptor batch_norm_training() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_BATCH_NORM)
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_TRAINING)
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, in(0))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, in(1))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, in(2))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, in(3))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC, in(4))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC, in(5))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC, in(6))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, out(0))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, out(1))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, out(2))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC, out(3))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC, out(4))
        .finalize();
  }

  Descriptor batch_norm_inference() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_BATCH_NORM)
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_INFERENCE)
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, in(0))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, in(1))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, in(2))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, in(3))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, in(4))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, out(0))
        .finalize();
  }

  Descriptor batch_norm_backward() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
    return d.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_BATCH_NORM)
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, in(0))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, in(1))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, in(2))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, in(3))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, in(4))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, out(0))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, out(1))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, out(2))
        .finalize();
  }

  Descriptor pool() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, in(0))
        .set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, out(0))
        .set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, resample(node_.window, node_.pooling));
    if (node_.pooling == Pooling::max) d.set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, out(1));
    return d.finalize();
  }

  // With the index of the maxima: without it cuDNN 9.19 crashes on this layout.
  Descriptor pool_backward() const {
    Descriptor d(CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, in(0))
        .set(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC, out(0))
        .set(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC, resample(node_.window, node_.pooling));
    if (node_.pooling == Pooling::max) d.set(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC, in(1));
    return d.finalize();
  }

  const Node& node_;
  const std::vector<Descriptor>& tensors_;
};

}  // namespace

Descriptor lower(const OperationGraph& graph, cudnnHandle_t handle) {
  std::vector<Descriptor> tensors;
  std::int64_t next_virtual = kFirstVirtual;
  for (const GraphTensor& spec : graph.tensors()) {
    const bool is_virtual = spec.role == Role::none;
    tensors.push_back(tensor(spec, is_virtual ? next_virtual++ : static_cast<std::int64_t>(spec.role)));
  }
  std::vector<Descriptor> operations;
  for (const Node& node : graph.nodes()) operations.push_back(NodeLowering(node, tensors).operation());

  Descriptor d(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (handle) d.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
  return d.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations).finalize();
}

}  // namespace convoy::cuda::dnn
