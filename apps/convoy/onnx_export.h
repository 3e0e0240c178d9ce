// convoy export --onnx: the file, and onnxruntime's word on it.
#pragma once

#include <filesystem>
#include <string>

#include "apps/convoy/setup.h"

namespace convoy {

struct OnnxExportFlags {
  bool fold = false;
  bool verify = true;
};

/// What onnxruntime said of a file.
struct Verification {
  bool done = false;  // false: it could not be asked
  std::string line;   // "verified: ..." or "not verified: ...", and why
};

/// Writes the model as an ONNX file and has onnxruntime compute it, if the Python that CONVOY_PYTHON names,
/// or else python3, has that. Throws Error, and writes nothing, if its logits are not this program's.
Verification export_onnx(const TrainedModel& trained, const OnnxExportFlags& flags,
                         const std::filesystem::path& file);

}  // namespace convoy
