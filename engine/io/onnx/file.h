// An ONNX file as a message, and the elements that it keeps in files beside it.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>

#include "engine/core/file.h"
#include "engine/io/onnx/tensor.h"

namespace convoy {

/// The message in a file, of which nothing is checked but that it is one with a graph. Throws Error.
::onnx::ModelProto read_message(InputFile& file);

/// Reads elements from files in `folder`, and from no other folder. Throws Error for a place that is not in
/// such a file, and if much more is read from one than it has: a small file can name the same bytes often.
ExternalBytes elements_beside(std::filesystem::path folder);

}  // namespace convoy
