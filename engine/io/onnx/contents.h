// Everything that an ONNX file holds, to be told to a person: also of networks that load_onnx does not read.
#pragma once

#include <filesystem>

#include "engine/io/contents.h"

namespace convoy {

/// Initializers and the tensors of Constant nodes, one at a time; inputs, outputs and counts of operators are
/// values in words. Throws Error if the file is none, and in a build without ONNX. A tensor that cannot be
/// read has a problem.
FileContents onnx_contents_of(const std::filesystem::path& file);

}  // namespace convoy
