// The table of attributes: what each descriptor takes, of which type, how many, and whether it must be there.
#include <limits>

#include "tests/software_gpu/cudnn/descriptor.h"

namespace software_gpu {
namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
constexpr auto kIn = Rule::Use::input;
constexpr auto kOut = Rule::Use::output;

Rule one(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, bool required = true) {
  return {name, type, 1, 1, required};
}
Rule tensor(cudnnBackendAttributeName_t name, const char* key, Rule::Use use, bool required = true) {
  return {name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, required, key, use};
}
Rule child(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type, std::int64_t most = 1) {
  return {name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, most, true, nullptr, Rule::Use::plain, type};
}
Rule pair(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const char* key = nullptr) {
  return {name, type, 2, 2, true, key};
}
Rule text(cudnnBackendAttributeName_t name) { return {name, CUDNN_TYPE_CHAR, 1, kAny, false}; }

using Table = std::map<cudnnBackendDescriptorType_t, std::vector<Rule>>;

void add_tensors_and_windows(Table& t) {
  t[CUDNN_BACKEND_TENSOR_DESCRIPTOR] = {one(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64),
                                        one(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE),
                                        {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, 4, true},
                                        {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, 4, true},
                                        one(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64),
                                        one(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, false),
                                        one(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, false)};
  t[CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR] = {
      one(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE),
      one(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE),
      one(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64),
      pair(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, "padding"),
      pair(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64),
      pair(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, "stride"),
      pair(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, "dilation")};
  t[CUDNN_BACKEND_POINTWISE_DESCRIPTOR] = {one(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE),
                                           one(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE)};
  t[CUDNN_BACKEND_RESAMPLE_DESCRIPTOR] = {
      one(CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE),
      one(CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_TYPE_DATA_TYPE),
      one(CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION),
      one(CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE),
      one(CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, CUDNN_TYPE_INT64),
      pair(CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_TYPE_FRACTION, "kernel"),
      pair(CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_TYPE_FRACTION, "padding"),
      pair(CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_TYPE_FRACTION),
      pair(CUDNN_ATTR_RESAMPLE_STRIDES, CUDNN_TYPE_FRACTION, "stride")};
}

void add_products(Table& t) {
  t[CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR] = {
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, "x", kIn),
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, "w", kIn),
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, "y", kOut),
      child(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
      one(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT),
      one(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT)};
  t[CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR] = {
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, "dy", kIn),
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, "w", kIn),
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, "dx", kOut),
      child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
      one(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT),
      one(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT)};
  t[CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR] = {
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, "x", kIn),
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, "dy", kIn),
      tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, "dw", kOut),
      child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
      one(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_TYPE_FLOAT),
      one(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CUDNN_TYPE_FLOAT)};
  t[CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR] = {
      child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_BACKEND_POINTWISE_DESCRIPTOR),
      tensor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, "x", kIn),
      tensor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, "b", kIn, false),
      tensor(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, "dy", kIn, false),
      tensor(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, "y", kOut, false),
      tensor(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, "dx", kOut, false)};
}

void add_norms_and_pools(Table& t) {
  // Which way mean and inv_std go depends on the phase: finalising decides.
  t[CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR] = {
      one(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE),
      one(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, "x", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, "scale", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, "bias", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, "epsilon", kIn, false),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC, "momentum", kIn, false),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC, "running_mean", kIn, false),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC, "running_var", kIn, false),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC, "next_running_mean", kOut, false),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC, "next_running_var", kOut, false),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, "mean", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, "inv_std", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, "y", kOut)};
  t[CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR] = {
      one(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE),
      tensor(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, "x", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, "dy", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, "scale", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, "mean", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, "inv_std", kIn),
      tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, "dx", kOut),
      tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, "dscale", kOut),
      tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, "dbias", kOut)};
  t[CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR] = {
      tensor(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, "x", kIn),
      tensor(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, "y", kOut),
      tensor(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, "index", kOut, false),
      child(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, CUDNN_BACKEND_RESAMPLE_DESCRIPTOR)};
  t[CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR] = {
      tensor(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, "dy", kIn),
      tensor(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC, "dx", kOut),
      tensor(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC, "index", kIn, false),
      child(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC, CUDNN_BACKEND_RESAMPLE_DESCRIPTOR)};
}

void add_plans(Table& t) {
  t[CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR] = {
      {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, kAny, true},
      one(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, false)};
  Rule device = child(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.required = false;
  t[CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR] = {
      child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR),
      one(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE), device};
  t[CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR] = {one(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, false),
                                            text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION)};
  Rule configuration = child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  device.name = CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP;
  configuration.required = false;
  t[CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR] = {
      one(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, false), configuration, device,
      text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION)};
  t[CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR] = {
      {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 1, kAny, true},
      {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, kAny, true},
      one(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, false)};
  // Only heuristics make these.
  t[CUDNN_BACKEND_ENGINECFG_DESCRIPTOR] = {};
  t[CUDNN_BACKEND_ENGINE_DESCRIPTOR] = {};
}

}  // namespace

const std::vector<Rule>* rules_of(cudnnBackendDescriptorType_t type) {
  static const Table table = [] {
    Table t;
    add_tensors_and_windows(t);
    add_products(t);
    add_norms_and_pools(t);
    add_plans(t);
    return t;
  }();
  const auto found = table.find(type);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace software_gpu
