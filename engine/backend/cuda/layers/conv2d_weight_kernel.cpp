// The own kernel for a convolution's weight gradient.
#include <fmt/format.h>

#include "engine/backend/cuda/layers/image_shapes.h"
#include "engine/backend/cuda/layers/own_kernels.h"
#include "engine/model/layer_rules.h"
#include "kernels/conv_weight_gradient.h"

namespace convoy::cuda {

namespace {

// Up to how many input channels cuDNN's engines are slower. Measured on an H200 for 1 and 16 of them, by
// windows of 5x5 (profiling/reports/): the kernel took 12 and 29 us, the engines that the heuristics put
// first 45 and 240 in fp32, 52 and 90 in tf32, 115 and 22 in bf16.
std::int64_t few_channels(Precision precision) { return precision == Precision::bf16 ? 4 : 16; }

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
      .preferred = x[1] <= few_channels(precision) ? "faster for few channels" : "",
  };
}

}  // namespace convoy::cuda
