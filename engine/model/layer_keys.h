// The keys of each layer in model files. Reading and writing use the same list.
#pragma once

#include "convoy/model.h"

namespace convoy {

// A file must have the `required` keys. Where an `optional` key is missing, the struct's default holds. A
// `fixed` key is one of torch.nn's that may be written out, with the one value that the layer has here; an
// `ignored` one may have any, as it changes no result.
template <typename Keys>
void visit_keys(Keys& keys, Conv2d& layer) {
  keys.required("in_channels", layer.in_channels);
  keys.required("out_channels", layer.out_channels);
  keys.required("kernel_size", layer.kernel_size);
  keys.optional("stride", layer.stride);
  keys.optional("padding", layer.padding);
  keys.optional("dilation", layer.dilation);
  keys.optional("groups", layer.groups);
  keys.optional("bias", layer.bias);
  keys.fixed("padding_mode", "zeros");
  keys.fixed("device", nullptr);
  keys.fixed("dtype", nullptr);
}

template <typename Keys>
void visit_keys(Keys& keys, BatchNorm2d& layer) {
  keys.required("num_features", layer.num_features);
  keys.optional("eps", layer.eps);
  keys.optional("momentum", layer.momentum);
  keys.fixed("affine", true);
  keys.fixed("track_running_stats", true);
  keys.fixed("device", nullptr);
  keys.fixed("dtype", nullptr);
}

template <typename Keys>
void visit_keys(Keys& keys, GroupNorm& layer) {
  keys.required("num_groups", layer.num_groups);
  keys.required("num_channels", layer.num_channels);
  keys.optional("eps", layer.eps);
  keys.optional("affine", layer.affine);
  keys.fixed("device", nullptr);
  keys.fixed("dtype", nullptr);
}

template <typename Keys>
void visit_keys(Keys& keys, ReLU&) {
  keys.ignored("inplace", false);
}

template <typename Keys>
void visit_keys(Keys& keys, MaxPool2d& layer) {
  keys.required("kernel_size", layer.kernel_size);
  keys.optional_or_null("stride", layer.stride);
  keys.optional("padding", layer.padding);
  keys.fixed("dilation", 1);
  keys.fixed("return_indices", false);
  keys.fixed("ceil_mode", false);
}

template <typename Keys>
void visit_keys(Keys& keys, AvgPool2d& layer) {
  keys.required("kernel_size", layer.kernel_size);
  keys.optional_or_null("stride", layer.stride);
  keys.optional("padding", layer.padding);
  keys.optional("count_include_pad", layer.count_include_pad);
  keys.fixed("ceil_mode", false);
  keys.fixed("divisor_override", nullptr);
}

template <typename Keys>
void visit_keys(Keys& keys, GlobalAvgPool2d&) {
  keys.fixed("output_size", 1);
}

template <typename Keys>
void visit_keys(Keys& keys, Flatten&) {
  keys.fixed("start_dim", 1);
  keys.fixed("end_dim", -1);
}

template <typename Keys>
void visit_keys(Keys& keys, Linear& layer) {
  keys.required("in_features", layer.in_features);
  keys.required("out_features", layer.out_features);
  keys.optional("bias", layer.bias);
  keys.fixed("device", nullptr);
  keys.fixed("dtype", nullptr);
}

template <typename Keys>
void visit_keys(Keys& keys, Dropout& layer) {
  keys.optional("p", layer.p);
  keys.ignored("inplace", false);
}

template <typename Keys>
void visit_keys(Keys& keys, Residual& layer) {
  keys.required("body", layer.body);
  keys.optional("shortcut", layer.shortcut);
}

template <typename Keys>
void visit_keys(Keys& keys, Model& model) {
  keys.required("name", model.name);
  keys.required("input", model.input);
  keys.required("layers", model.layers);
  keys.optional("preparation", model.preparation);
}

}  // namespace convoy
