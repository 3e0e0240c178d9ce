// Convolution and linear layer alike: one forward and two backward primitives over x, weights and bias.
// Parameters stay plain, in their arena; each primitive gets its own small copy of the weights.
#pragma once

#include <string>

#include "engine/backend/cpu/primitives.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {

/// What both kinds of layer have. `plan` makes a primitive from a spec.
struct WeightedLayer {
  std::string name;  // "Conv2d"
  Bound x, weight, bias;
  Shape output;
  Dims weight_dims;  // with the groups in front, if there are several; for a linear layer as x has them
  bool fuse_relu;    // convolution only
  bool keep_x;       // plan for the layout that x has, rather than for the best one
  WeightedSpec window;
  PrimitivePlan (*plan)(const dnnl::engine&, PropKind, const WeightedSpec&);
};

/// The operation of such a layer. `device` must outlive it. Throws UsageError for what oneDNN cannot do.
OperationPtr make_weighted(Device& device, WeightedLayer layer);

}  // namespace convoy::cpu
