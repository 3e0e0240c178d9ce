#include <fmt/format.h>

#include "apps/convoy/inspection.h"
#include "apps/convoy/setup.h"
#include "convoy/error.h"
#include "convoy/onnx.h"
#include "engine/io/onnx/contents.h"

namespace convoy {

Inspection inspect_onnx(const std::filesystem::path& file) {
  Inspection inspection = inspect_contents(onnx_contents_of(file), file);
  Json& facts = inspection.facts;
  try {
    const Model model = load_onnx(file).model;
    facts["parameters"] = trainable_count(model);
    facts["model"] = fmt::format("{} layers for images {} and {} classes, which convoy import reads",
                                 model.layers.size(), model.input.str(), class_count(model));
  } catch (const Error& error) {
    facts["not_imported"] = error.what();
  }
  return inspection;
}

}  // namespace convoy
