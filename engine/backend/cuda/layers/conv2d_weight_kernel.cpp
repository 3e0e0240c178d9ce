// The own kernel for a convolution's weight gradient.
#include <fmt/format.h>

#include "engine/backend/cuda/layers/image_shapes.h"
#include "engine/backend/cuda/layers/own_kernels.h"
#include "engine/model/layer_rules.h"
#include "kernels/conv_weight_gradient.h"

namespace convoy::cuda {

dnn::OwnKernel conv2d_backward_weight_kernel(const Conv2d& layer, const Shape& x, Precision precision) {
  if (precision == Precision::bf16 || layer.groups != 1) return {};
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
      .run = [=](const dnn::BoundMemory& memory, cudaStream_t stream) {
        kernels::conv_weight_gradient(shape, tiling,
                                      {.x = static_cast<const float*>(memory[dnn::Role::x]),
                                       .dy = static_cast<const float*>(memory[dnn::Role::dy]),
                                       .dweight = static_cast<float*>(memory[dnn::Role::dweight]),
                                       .workspace = memory.workspace()},
                                      stream);
      }};
}

}  // namespace convoy::cuda
