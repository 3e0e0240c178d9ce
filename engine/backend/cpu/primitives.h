// oneDNN's primitives as plans: what they compute and the layouts they want. oneDNN 2 and 3 make them in
// different ways; primitives_v2.cpp or primitives_v3.cpp is built, whichever the installed version needs.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include <string>

#include "convoy/error.h"

namespace convoy::cpu {

using Layout = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using DataType = dnnl::memory::data_type;

Dims dims_of(const Layout& layout);
DataType type_of(const Layout& layout);

/// An executable primitive and the layouts of its arguments. `source`, `weights` and `destination` stand for
/// the gradient where the pass computes or takes that instead of the value.
struct PrimitivePlan {
  dnnl::primitive primitive;
  std::string implementation;  // oneDNN's name for it: "jit:avx512_core"
  Layout source;
  Layout weights;
  Layout destination;
  Layout scratchpad;

  /// oneDNN's plain loops: slow, but they take any layout.
  bool is_reference() const { return implementation.starts_with("ref"); }
};

/// A convolution (weights [O, I, KH, KW], or [G, O/G, I/G, KH, KW]) or a linear layer (weights [O, I], or
/// [O, C, H, W] over x [N, C, H, W]). Layouts may be `any`; `bias` is zero-sized without one.
struct WeightedSpec {
  Layout source;
  Layout weights;
  Layout weight_gradient;  // of floats, where the weights may be bf16
  Layout bias;
  Layout destination;
  Dims stride, dilation, padding;  // convolution only; oneDNN's dilation is 0 where PyTorch's is 1
};

struct PoolSpec {
  dnnl::algorithm algorithm;
  Layout source;
  Layout destination;
  Dims kernel, stride, padding;
};

enum class PropKind { forward, backward_data, backward_weights };

// All of these throw dnnl::error for what oneDNN cannot do.
PrimitivePlan plan_convolution(const dnnl::engine& engine, PropKind pass, const WeightedSpec& spec);
PrimitivePlan plan_linear(const dnnl::engine& engine, PropKind pass, const WeightedSpec& spec);

/// Forward or backward_data.
PrimitivePlan plan_pool(const dnnl::engine& engine, PropKind pass, const PoolSpec& spec);

PrimitivePlan plan_reorder(const dnnl::engine& engine, const Layout& from, const Layout& to);

/// The plan that `make` returns; oneDNN's "cannot" as a UsageError that names the operation, "Conv2d [1, 3,
/// 8, 8]".
template <typename Make>
PrimitivePlan planned(const std::string& operation, Make make) {
  try {
    return make();
  } catch (const dnnl::error& error) {
    throw UsageError(operation + ": oneDNN cannot do this: " + error.what());
  }
}

}  // namespace convoy::cpu
