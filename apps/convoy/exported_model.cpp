#include "apps/convoy/exported_model.h"

#include "convoy/model_file.h"

namespace convoy {
namespace {

constexpr const char* kModelKey = "convoy.model";

}  // namespace

SafetensorsMetadata metadata_of(const TrainedModel& trained) {
  Model model = trained.model;
  model.preparation = trained.preparation_is_recorded ? std::optional(trained.preparation) : std::nullopt;
  return {{"format", "pt"}, {"convoy.version", CONVOY_VERSION}, {kModelKey, to_json(model)}};
}

std::optional<Model> model_in_checkpoint(const std::filesystem::path& checkpoint) {
  const SafetensorsMetadata metadata = read_safetensors_metadata(checkpoint);
  const auto model = metadata.find(kModelKey);
  if (model == metadata.end()) return std::nullopt;
  return parse_model(model->second, checkpoint.string() + ": 'convoy.model'");
}

}  // namespace convoy
