// Tensors as ONNX files hold them.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <optional>
#include <string>

#include "convoy/host_tensor.h"
#include "engine/io/tensor_record.h"

namespace convoy {

/// The bytes that a tensor has in a file beside the ONNX file, of which there must be `bytes`. Throws Error.
using ExternalBytes = std::function<std::string(const ::onnx::TensorProto& tensor, std::size_t bytes)>;

/// The type of elements that a message's number for it stands for; nothing for one that is not read.
std::optional<ElementType> element_type(int data_type);

/// The dimensions. Throws Error for those that cannot be.
Shape shape_of(const ::onnx::TensorProto& tensor);

/// The tensor, float16, bfloat16 and float64 as float32 with their values kept, integers as they are. Throws
/// Error unless there are as many elements as the dimensions say, NotRead for other types and too large
/// integers.
HostTensor elements_of(const ::onnx::TensorProto& tensor, const ExternalBytes& external);

/// The same. Throws Error that names the tensor.
HostTensor tensor_of(const ::onnx::TensorProto& tensor, const ExternalBytes& external);

/// A float32 tensor as a message.
::onnx::TensorProto message_of(const std::string& name, const HostTensor& tensor);

}  // namespace convoy
