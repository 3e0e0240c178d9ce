// convoy eval: evaluates a checkpoint on a test set, in total and for each class.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "apps/convoy/augmentation_flags.h"
#include "apps/convoy/classification.h"
#include "apps/convoy/commands.h"
#include "apps/convoy/printable.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "convoy/catalog.h"
#include "convoy/dataset.h"
#include "convoy/error.h"
#include "convoy/inference.h"

namespace convoy {
namespace {

struct EvalFlags {
  CheckpointFlags trained;
  DeviceFlags device;
  TestTimeAugmentation views;
  std::int64_t batch_size = 100;
  bool json = false;
};

std::string percent(std::optional<double> part) {
  return part ? fmt::format("{:.2f} %", 100.0 * *part) : "-";
}

Json number(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

void print_text(const Classification& result, const Dataset& test, const std::vector<std::string>& names) {
  put(fmt::format("{}\n\n", bold(fmt::format("Accuracy on the {} test images: {:.2f} %, loss {:.4f}",
                                             test.count(), 100.0 * result.accuracy(), result.loss()))));
  Table table({"class", "precision", "recall", "count"});
  std::vector<std::string> titles = {"true \\ predicted"};
  for (std::size_t c = 0; c < result.classes(); ++c) {
    table.add({names[c], percent(result.precision(c)), percent(result.recall(c)),
               std::to_string(result.samples_of(c))});
    titles.push_back(names[c]);
  }
  Table confusion(titles);
  for (std::size_t truth = 0; truth < result.classes(); ++truth) {
    std::vector<std::string> row = {names[truth]};
    for (std::size_t c = 0; c < result.classes(); ++c) row.push_back(std::to_string(result.count(truth, c)));
    confusion.add(std::move(row));
  }
  put(fmt::format("{}\n{}", table.str(), confusion.str()));
}

void print_json(const Classification& result, const EvalFlags& flags, const std::string& dataset,
                const Dataset& test, const std::vector<std::string>& names, double seconds) {
  Json classes = Json::array();
  Json confusion = Json::array();
  for (std::size_t truth = 0; truth < result.classes(); ++truth) {
    classes.push_back({{"name", names[truth]},
                       {"precision", number(result.precision(truth))},
                       {"recall", number(result.recall(truth))},
                       {"count", result.samples_of(truth)}});
    Json row = Json::array();
    for (std::size_t c = 0; c < result.classes(); ++c) row.push_back(result.count(truth, c));
    confusion.push_back(std::move(row));
  }
  emit({{"event", "eval"},
        {"dataset", dataset},
        {"samples", test.count()},
        {"tta", in_words(flags.views)},
        {"loss", result.loss()},
        {"accuracy", result.accuracy()},
        {"images_per_second", static_cast<double>(test.count()) / seconds},
        {"seconds", seconds},
        {"classes", std::move(classes)},
        {"confusion", std::move(confusion)}});
}

/// Where the test images are, and which of them were held out, if that is not said, when the model was
/// trained.
DataFlags data_flags_of(const CheckpointFlags& flags, const TrainedModel& trained,
                        const std::optional<RunRecord>& record) {
  DataFlags data = flags.data;
  data.dataset = trained.dataset;
  std::error_code code;
  // Data of one's own lie where they did, if they still do. What has a name is looked for as always.
  if (named_folder(data).empty() && record && record->dataset == data.dataset &&
      std::ranges::find(own_data_names(), data.dataset) != own_data_names().end() &&
      std::filesystem::exists(record->folder, code)) {
    data.folder = record->folder;
  }
  if (data.split > 0.0 || !record || record->dataset != data.dataset) return data;
  data.split = record->split;
  data.split_seed = record->split_seed;
  data.split_if_needed = true;
  return data;
}

/// Whether they are the images of a training, as far as its record tells. Where they are prepared in another
/// way there is nothing to compare.
bool has_training_images(const Dataset& images, const RunRecord& record, const ImageFlags& flags) {
  if (!record.data_crc32 || !record.preparation || record.train_samples <= 0 || flags.transpose) return true;
  const Normalization& trained = record.preparation->normalization;
  if (images.normalization.mean != trained.mean || images.normalization.std != trained.std) return true;
  return images.count() >= record.train_samples &&
         checksum(take(images, record.train_samples)) == *record.data_crc32;
}

/// The test images of the model's data, prepared as its own were. Says so if these are others than in its
/// training.
LoadedData load_test_data(const EvalFlags& flags, const TrainedModel& trained) {
  const auto record = record_of_run(flags.trained.checkpoint);
  const DataFlags data_flags = data_flags_of(flags.trained, trained, record);
  LoadedData data = load_data(data_flags, !flags.json, /*allow_stand_in=*/false,
                              {.image = trained.model.input,
                               .classes = trained.preparation.classes,
                               .crop = trained.preparation.framing == Framing::crop});
  const bool where_trained = named_folder(flags.trained.data).empty() && !data_flags.folder.empty();
  if (where_trained) data.location.how = "where it was trained";
  prepare(data.pair, flags.trained.images, &trained.preparation);
  if (data.held_out_crc32 && record && record->held_out_crc32 &&
      *data.held_out_crc32 != *record->held_out_crc32) {
    say_note(fmt::format(
        "the images held out of {} are not those of the training, which may have seen some of them: the data "
        "have changed or are others, or --split and --split-seed are",
        data.location.folder.string()));
    if (where_trained) data.location.how = "where its data were";
  } else if (where_trained && !has_training_images(data.pair.train, *record, flags.trained.images)) {
    data.location.how = "where its data were";
    say_note(fmt::format(
        "the training images in {} are not those of the training: their checksum is another; the data have "
        "changed or are others",
        data.location.folder.string()));
  }
  return data;
}

int run_eval(const EvalFlags& flags) {
  const BackendChoice device = make_backend(flags.device);
  const TrainedModel trained = load_trained(flags.trained);
  const LoadedData data = load_test_data(flags, trained);
  const Dataset& test = data.pair.test;
  const std::int64_t classes = class_count(trained.model);

  Inference inference(*device.backend, trained.model, trained.state,
                      std::min(flags.batch_size, test.count()));
  const auto start = std::chrono::steady_clock::now();
  const Classification result(inference.predict(test, flags.views), test.labels, classes);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  report_plans(flags.device, *device.backend);

  std::vector<std::string> names = class_names(trained);
  if (flags.json) {
    print_json(result, flags, data.location.dataset, test, names, elapsed.count());
  } else {
    std::ranges::transform(names, names.begin(), printable);
    put(fmt::format("checkpoint  {}\n", flags.trained.checkpoint.string()));
    put(fmt::format("data        {}, {} ({})\n", data.location.dataset, data.location.folder.string(),
                    data.location.how));
    put(fmt::format("device      {} ({})\n", device.backend->description(), device.reason));
    if (flags.views != TestTimeAugmentation{}) {
      put(fmt::format("views       the mean of several: --tta {}\n", in_words(flags.views)));
    }
    print_text(result, test, names);
  }
  return 0;
}

}  // namespace

Command add_eval(CLI::App& program) {
  const auto flags = std::make_shared<EvalFlags>();
  CLI::App& command = *program.add_subcommand("eval", "Evaluate a checkpoint on the test images");
  command
      .add_option("--checkpoint", flags->trained.checkpoint,
                  "model.ckpt of Convoy or PyTorch, or safetensors")
      ->required();
  add_model_flag(command, flags->trained.model, kModelOfCheckpoint);
  add_data_flags(command, flags->trained.data);
  add_split_flags(command, flags->trained.data);
  add_image_flags(command, flags->trained.images, kTransposeFiles);
  add_device_flags(command, flags->device);
  command.add_option("--batch-size", flags->batch_size, "Images a step")
      ->check(at_least(1))
      ->capture_default_str();
  add_tta_flag(command, flags->views);
  add_json_flag(command, flags->json);
  set_footer(command,
             "  convoy eval --checkpoint runs/convnet-mnist-1/model.ckpt\n"
             "  convoy eval --checkpoint runs/resnet9-cifar10-1/model.ckpt --tta flip,shift\n"
             "  convoy eval --checkpoint pytorch.pt --model resnet9 --dataset cifar10 --data cifar\n");
  return {&command, [flags] { return run_eval(*flags); }};
}

}  // namespace convoy
