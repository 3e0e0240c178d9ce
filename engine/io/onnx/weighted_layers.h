// The operators of ONNX that have weights. Each function is as read_layer.
#pragma once

#include "engine/io/onnx/layers.h"

namespace convoy {

std::optional<ReadLayer> read_conv(const NodeSite& site);
std::optional<ReadLayer> read_batch_norm(const NodeSite& site);
std::optional<ReadLayer> read_gemm(const NodeSite& site);
std::optional<ReadLayer> read_mat_mul(const NodeSite& site);

}  // namespace convoy
