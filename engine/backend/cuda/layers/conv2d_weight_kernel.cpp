// The own kernel for a convolution's weight gradient.
#include <fmt/format.h>

#include "engine/backend/cuda/layers/image_shapes.h"
#include "engine/backend/cuda/layers/own_kernels.h"
#include "engine/model/layer_rules.h"
#include "kernels/conv_weight_gradient.h"

namespace convoy::cuda {

namespace {

// Whether cuDNN's engines are slower, as far as that was measured: on an H200 the backward of a convolution
// of 5x5 from 1 to 16 channels went from 57 us to 15 in fp32, 52 to 15 in tf32, 127 to 17 in bf16, from 16 to
// 32 channels from 306 to 100, 125 to 102, and not at all (profiling/reports/). Of much larger ones tensor
// cores may do more.
bool is_faster(const kernels::ConvShape& shape, Precision precision) {
  constexpr std::int64_t kMostMultiplications = 500'000'000;  // of what was measured 250
  const std::int32_t few = precision == Precision::bf16 ? 4 : 16;
  return shape.in_channels <= few && shape.pixels() * shape.weights() <= kMostMultiplications;
}

}  // namespace

dnn::OwnKernel conv2d_backward_weight_kernel(const Conv2d& layer, const Shape& x, Precision precision) {
  if (layer.groups != 1) return {};
  const DType dtype = precision == Precision::bf16 ? DType::bfloat16 : DType::float32;
  const Shape y = output_shape(layer, x);
  const kernels::ConvShape shape{.images = x[0],
                                 .in = plane_of(x),
                                 .in_channels = narrowed(x[1]),
                                 .out = plane_of(y),
                                 .out_channels = narrowed(y[1]),
                                 .window = image_window(window_of(layer))};
  if (!kernels::conv_weight_fits(shape)) return {};
  const kernels::ConvWeightTiling tiling = kernels::tile_conv_weight(shape);
  const kernels::ConvWeightTile tile = kernels::tile_of(tiling.kind);
  return {
      .name = fmt::format("weight gradient, {}x{} tiles, {} slices", tile.rows, tile.columns, tiling.slices),
      .workspace = static_cast<std::int64_t>(kernels::conv_weight_workspace_bytes(shape, tiling)),
      .launches = tiling.launches(),
      .run =
          [=](const dnn::BoundMemory& memory, cudaStream_t stream) {
            kernels::conv_weight_gradient(shape, tiling,
                                          {.x = memory[dnn::Role::x],
                                           .dy = memory[dnn::Role::dy],
                                           .dweight = memory[dnn::Role::dweight],
                                           .dtype = dtype,
                                           .workspace = memory.workspace()},
                                          stream);
          },
      .preferred = is_faster(shape, precision) ? "faster for few channels" : "",
  };
}

}  // namespace convoy::cuda
