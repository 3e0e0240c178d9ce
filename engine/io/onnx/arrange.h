// Constants in another arrangement, as some files have a node for: a matrix that is stored with four
// dimensions, or the other way round.
#pragma once

#include <onnx/onnx_pb.h>

#include "convoy/host_tensor.h"

namespace convoy {

/// The matrix with rows and columns exchanged.
HostTensor transposed(const HostTensor& matrix);

/// What a Reshape to `sizes` makes of a tensor. Throws Error that names the node if it has other elements.
HostTensor reshaped(const ::onnx::NodeProto& node, HostTensor tensor, const HostTensor& sizes);

/// What a Transpose makes of a tensor. Throws Error that names the node unless that is a matrix.
HostTensor transposed(const ::onnx::NodeProto& node, const HostTensor& tensor);

}  // namespace convoy
