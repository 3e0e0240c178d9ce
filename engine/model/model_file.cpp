#include "convoy/model_file.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>

#include "convoy/error.h"
#include "engine/core/file.h"
#include "engine/core/onnx_magic.h"
#include "engine/model/json_text.h"
#include "engine/model/model_json.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

constexpr std::int64_t kMaxFileBytes = 1 << 20;
constexpr std::size_t kMaxKeys = 32;  // no layer has half as many

/// Used for reading and writing, so that every file that is written can be read.
void require_model_name(const std::string& name, const std::string& source) {
  if (!is_layer_name(name)) {
    throw UsageError(
        fmt::format("{}: model name {} must be letters, digits, '_' and '-' in parts joined by single "
                    "dots, 128 at most",
                    source, in_quotes(name)));
  }
}

}  // namespace

Model parse_model(const std::string& json, const std::string& source) {
  if (std::ssize(json) > kMaxFileBytes) {
    throw UsageError(
        fmt::format("{}: is larger than {} bytes, so it is no model file", source, kMaxFileBytes));
  }
  Model model = model_of_json(parse_json(json, source, kMaxKeys), source);
  require_model_name(model.name, source);
  try {
    infer(model, 1);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", source, error.what()));
  }
  return model;
}

Model load_model(const std::filesystem::path& file) {
  // One byte more than allowed, to notice a larger file.
  const std::string text = InputFile(file).read_text(kMaxFileBytes + 1);
  if (begins_as_onnx(text)) throw UsageError(fmt::format("{}: {}", file.string(), kOnnxAdvice));
  return parse_model(text, file.string());
}

std::string to_json(const Model& model) {
  require_model_name(model.name, "model");
  infer(model, 1);
  return json_of_model(model).dump(2) + "\n";
}

}  // namespace convoy
