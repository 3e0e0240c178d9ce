// oneDNN 2: an operation descriptor first, then the primitive's from it.
#include "engine/backend/cpu/plan_from.h"

namespace convoy::cpu {

Dims dims_of(const Layout& layout) { return layout.dims(); }

DataType type_of(const Layout& layout) { return layout.data_type(); }

namespace {

using dnnl::algorithm;
using dnnl::prop_kind;

constexpr auto kDirect = algorithm::convolution_direct;

dnnl::convolution_forward::primitive_desc convolution(const dnnl::engine& engine, const WeightedSpec& s) {
  return {{prop_kind::forward_training, kDirect, s.source, s.weights, s.bias, s.destination, s.stride,
           s.dilation, s.padding, s.padding},
          user_scratchpad(),
          engine};
}

dnnl::inner_product_forward::primitive_desc linear(const dnnl::engine& engine, const WeightedSpec& s) {
  return {
      {prop_kind::forward_training, s.source, s.weights, s.bias, s.destination}, user_scratchpad(), engine};
}

dnnl::pooling_forward::primitive_desc pool(const dnnl::engine& engine, const PoolSpec& s) {
  return {{prop_kind::forward_training, s.algorithm, s.source, s.destination, s.stride, s.kernel, s.padding,
           s.padding},
          user_scratchpad(),
          engine};
}

}  // namespace

PrimitivePlan plan_convolution(const dnnl::engine& engine, PropKind pass, const WeightedSpec& s) {
  const auto forward = convolution(engine, s);
  if (pass == PropKind::forward) return plan_from(forward);
  if (pass == PropKind::backward_data) {
    return plan_from(dnnl::convolution_backward_data::primitive_desc(
        {kDirect, s.source, s.weights, s.destination, s.stride, s.dilation, s.padding, s.padding},
        user_scratchpad(), engine, forward));
  }
  return plan_from(dnnl::convolution_backward_weights::primitive_desc(
      {kDirect, s.source, s.weight_gradient, s.bias, s.destination, s.stride, s.dilation, s.padding,
       s.padding},
      user_scratchpad(), engine, forward));
}

PrimitivePlan plan_linear(const dnnl::engine& engine, PropKind pass, const WeightedSpec& s) {
  const auto forward = linear(engine, s);
  if (pass == PropKind::forward) return plan_from(forward);
  if (pass == PropKind::backward_data) {
    return plan_from(dnnl::inner_product_backward_data::primitive_desc({s.source, s.weights, s.destination},
                                                                       user_scratchpad(), engine, forward));
  }
  return plan_from(dnnl::inner_product_backward_weights::primitive_desc(
      {s.source, s.weight_gradient, s.bias, s.destination}, user_scratchpad(), engine, forward));
}

PrimitivePlan plan_pool(const dnnl::engine& engine, PropKind pass, const PoolSpec& s) {
  const auto forward = pool(engine, s);
  if (pass == PropKind::forward) return plan_from(forward);
  return plan_from(dnnl::pooling_backward::primitive_desc(
      {s.algorithm, s.source, s.destination, s.stride, s.kernel, s.padding, s.padding}, user_scratchpad(),
      engine, forward));
}

}  // namespace convoy::cpu
