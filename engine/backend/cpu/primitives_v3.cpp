// oneDNN 3: the primitive's descriptor at once.
#include "engine/backend/cpu/plan_from.h"

namespace convoy::cpu {

Dims dims_of(const Layout& layout) { return layout.get_dims(); }

DataType type_of(const Layout& layout) { return layout.get_data_type(); }

namespace {

using dnnl::algorithm;
using dnnl::prop_kind;

constexpr auto kDirect = algorithm::convolution_direct;

dnnl::convolution_forward::primitive_desc convolution(const dnnl::engine& engine, const WeightedSpec& s) {
  return {engine,        prop_kind::forward_training,
          kDirect,       s.source,
          s.weights,     s.bias,
          s.destination, s.stride,
          s.dilation,    s.padding,
          s.padding,     user_scratchpad()};
}

dnnl::inner_product_forward::primitive_desc linear(const dnnl::engine& engine, const WeightedSpec& s) {
  return {engine, prop_kind::forward_training, s.source, s.weights, s.bias, s.destination, user_scratchpad()};
}

/// Pooling without dilation.
Dims undilated(const PoolSpec& s) { return Dims(s.kernel.size(), 0); }

dnnl::pooling_forward::primitive_desc pool(const dnnl::engine& engine, const PoolSpec& s) {
  return {engine,           prop_kind::forward_training,
          s.algorithm,      s.source,
          s.destination,    s.stride,
          s.kernel,         undilated(s),
          s.padding,        s.padding,
          user_scratchpad()};
}

}  // namespace

PrimitivePlan plan_convolution(const dnnl::engine& engine, PropKind pass, const WeightedSpec& s) {
  const auto forward = convolution(engine, s);
  if (pass == PropKind::forward) return plan_from(forward);
  if (pass == PropKind::backward_data) {
    return plan_from(dnnl::convolution_backward_data::primitive_desc(
        engine, kDirect, s.source, s.weights, s.destination, s.stride, s.dilation, s.padding, s.padding,
        forward, user_scratchpad()));
  }
  return plan_from(dnnl::convolution_backward_weights::primitive_desc(
      engine, kDirect, s.source, s.weight_gradient, s.bias, s.destination, s.stride, s.dilation, s.padding,
      s.padding, forward, user_scratchpad()));
}

PrimitivePlan plan_linear(const dnnl::engine& engine, PropKind pass, const WeightedSpec& s) {
  const auto forward = linear(engine, s);
  if (pass == PropKind::forward) return plan_from(forward);
  if (pass == PropKind::backward_data) {
    return plan_from(dnnl::inner_product_backward_data::primitive_desc(
        engine, s.source, s.weights, s.destination, forward, user_scratchpad()));
  }
  return plan_from(dnnl::inner_product_backward_weights::primitive_desc(
      engine, s.source, s.weight_gradient, s.bias, s.destination, forward, user_scratchpad()));
}

PrimitivePlan plan_pool(const dnnl::engine& engine, PropKind pass, const PoolSpec& s) {
  const auto forward = pool(engine, s);
  if (pass == PropKind::forward) return plan_from(forward);
  return plan_from(dnnl::pooling_backward::primitive_desc(engine, s.algorithm, s.source, s.destination,
                                                          s.stride, s.kernel, undilated(s), s.padding,
                                                          s.padding, forward, user_scratchpad()));
}

}  // namespace convoy::cpu
