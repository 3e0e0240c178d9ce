// Recognises ONNX files where others are expected.
#pragma once

#include <string_view>

namespace convoy {

/// What to do with an ONNX file that was named in place of a model or a checkpoint.
inline constexpr const char* kOnnxAdvice =
    "it is an ONNX file; make a model and a checkpoint of it: convoy import --onnx FILE --out FOLDER";

/// Whether a file that begins with these bytes may be ONNX: protobuf's field 1, the version of the format,
/// and then one of the next fields.
inline bool begins_as_onnx(std::string_view start) {
  return start.size() >= 3 && start[0] == 0x08 && start[1] > 0 && start[1] < 32 &&
         std::string_view("\x12\x1a\x22\x28\x32\x3a\x42").find(start[2]) != std::string_view::npos;
}

}  // namespace convoy
