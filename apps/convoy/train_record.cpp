#include "apps/convoy/train_record.h"

#include "apps/convoy/augmentation_flags.h"
#include "engine/backend/versions.h"
#include "engine/model/preparation_json.h"

namespace convoy {
Json describe(const TrainFlags& flags, const Json& given, const TrainData& data, const Model& model,
              const BackendChoice& device) {
  const TrainOptions& options = flags.options;
  Json record = {{"dataset", data.location.dataset},
                 {"data", data.location.folder.string()},
                 {"data_found", data.location.how},
                 {"split", flags.data.split},
                 {"split_seed", flags.data.split_seed},
                 {"train_samples", data.pair.train.count()},
                 {"validation_samples", data.validation ? data.validation->count() : 0},
                 {"test_samples", data.pair.test.count()},
                 {"model", model.name},
                 {"parameters", trainable_count(model)},
                 {"device", device.backend->name()},
                 {"device_description", device.backend->description()},
                 {"device_reason", device.reason},
                 {"device_flags", flags.device.given},
                 {"processes", device.backend->group().size()},
                 {"group", device.backend->group().description()},
                 {"sync_bn", device.backend->syncs_batch_norm()},
                 {"epochs", options.epochs},
                 {"batch_size", options.batch_size},
                 {"seed", options.seed},
                 {"label_smoothing", options.label_smoothing},
                 {"swa", options.swa},
                 {"bn_batches", options.bn_batches},
                 {"limit_train", flags.limit_train},
                 {"limit_test", flags.limit_test},
                 {"init", flags.init.string()},
                 {"preparation", json_of_preparation(data.preparation)}};
  record.update(describe(flags.optimizer));
  record.update(describe(options.schedule));
  record.update(describe(options.augmentation));
  record.update(describe(flags.early_end, options));
  record["flags"] = given;
  record["versions"] = {{"convoy", CONVOY_VERSION}, {"compiler", CONVOY_COMPILER}};
  for (const auto& [library, version] : library_versions(device.backend->name())) {
    record["versions"][library] = version;
  }
  return record;
}

}  // namespace convoy
