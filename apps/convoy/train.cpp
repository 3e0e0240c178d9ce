// convoy train: from data to a checkpoint.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "apps/convoy/commands.h"
#include "apps/convoy/guarded_fit.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/plan_table.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/train_flags.h"
#include "apps/convoy/train_report.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "convoy/state.h"
#include "engine/backend/checks.h"
#include "engine/model/preparation_json.h"

namespace convoy {
namespace {

struct TrainFlags {
  DataFlags data = {"mnist", {}};
  ImageFlags images;
  DeviceFlags device;
  std::string model = "convnet";
  TrainOptions options;
  OptimizerFlags optimizer;
  std::filesystem::path out;
  std::filesystem::path init;
  std::int64_t limit_train = 0;
  std::int64_t limit_test = 0;
  bool overwrite = false;
  bool json = false;
  bool summary = false;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// What the checkpoint that training goes on from says of its images, or else the model's file.
std::optional<Preparation> earlier_preparation(const TrainFlags& flags) {
  if (!flags.init.empty()) return recorded_preparation(flags.init);
  const std::filesystem::path file = flags.model;
  return file.extension() == ".json" ? load_model(file).preparation : std::nullopt;
}

/// The data, and how its images were prepared.
struct PreparedData : LoadedData {
  Preparation preparation;
};

PreparedData load_limited(const TrainFlags& flags) {
  PreparedData data{load_data(flags.data, !flags.json, /*allow_stand_in=*/flags.init.empty()), {}};
  const auto earlier = earlier_preparation(flags);
  const bool left_transposed = prepare(data.pair, flags.images, earlier ? &*earlier : nullptr);
  data.pair.train = take(std::move(data.pair.train), flags.limit_train);
  data.pair.test = take(std::move(data.pair.test), flags.limit_test);
  if (flags.options.batch_size > data.pair.train.count()) {
    throw UsageError(fmt::format("--batch-size {} is larger than the {} training images",
                                 flags.options.batch_size, data.pair.train.count()));
  }
  check_augmentation(flags.options.augmentation, data.pair.train.image);
  data.preparation = measure_preparation(data.pair.train, data.location.dataset);
  data.preparation.left_transposed = left_transposed;
  return data;
}

StateDict first_state(const TrainFlags& flags, const Model& model) {
  if (flags.init.empty()) return initial_state(model, flags.options.seed);
  return match_state(model, load_checkpoint(flags.init, say_note), flags.init.string(), say_note);
}

std::int64_t trainable_count(const Model& model) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : tensor_specs(model)) count += spec.trainable() ? spec.shape.count() : 0;
  return count;
}

/// A run as run.json and the event `run` describe it, before there are results.
Json describe(const TrainFlags& flags, const LoadedData& data, const Model& model,
              const BackendChoice& device) {
  const TrainOptions& options = flags.options;
  return {{"dataset", data.location.dataset},
          {"data", data.location.folder.string()},
          {"data_found", data.location.how},
          {"train_samples", data.pair.train.count()},
          {"test_samples", data.pair.test.count()},
          {"model", model.name},
          {"parameters", trainable_count(model)},
          {"device", device.backend->name()},
          {"device_description", device.backend->description()},
          {"device_reason", device.reason},
          {"device_flags", flags.device.given},
          {"epochs", options.epochs},
          {"batch_size", options.batch_size},
          {"seed", options.seed},
          {"settle_batches", options.settle_batches},
          {"limit_train", flags.limit_train},
          {"limit_test", flags.limit_test},
          {"init", flags.init.string()}};
}

TimedEvaluation evaluate(Trainer& trainer, const Dataset& dataset) {
  const auto start = std::chrono::steady_clock::now();
  TimedEvaluation evaluation;
  evaluation.result = trainer.evaluate(dataset);
  evaluation.seconds = seconds_since(start);
  return evaluation;
}

/// Tells `report` of what happens once; `start` is the program's.
TrainObserver observer_of_start(const DeviceFlags& flags, const Backend& backend, TrainReport& report,
                                const RunFolder& folder, std::chrono::steady_clock::time_point start) {
  TrainObserver observer;
  observer.prepared = [&] { report_plans(flags, backend); };
  observer.first_step = [&, start] {
    const double seconds = seconds_since(start);
    const std::vector<PlanRow> plans = backend.plans();
    report.first_step(seconds, plans.empty() ? "" : plan_summary(plans));
  };
  observer.profile = [&](const StepProfile& profile) {
    folder.write_profile(profile.chrome_trace());
    report.profile(profile, folder.path() / kProfileFile);
  };
  return observer;
}

/// What a run is made of.
struct Run {
  const BackendChoice& device;
  const LoadedData& data;
  const Model& model;
  const Json& record;
  const RunFolder& folder;
};

/// Trains and writes the model; until then signals only stop the training. Returns the last epoch's report.
EpochReport train_and_write(const TrainFlags& flags, Trainer& trainer, const Run& run, TrainReport& report,
                            std::chrono::steady_clock::time_point program_start) {
  const InterruptGuard guard;
  StateKeeper keeper(run.folder, run.model, trainer, run.record);
  const FitResult result = guarded_fit(
      trainer, run.data.pair.train, report,
      observer_of_start(flags.device, *run.device.backend, report, run.folder, program_start), keeper,
      fmt::format("try a smaller --lr than {}, or find the layer with --check-finite",
                  flags.optimizer.learning_rate));
  run.folder.write_model(run.model, result.state);  // first, so that nothing behind can lose it
  run.folder.write_record(run.record);
  if (InterruptGuard::interrupted()) {
    throw Interrupted(fmt::format("{} after the training; its model is {}, which was not tested",
                                  InterruptGuard::in_words(), checkpoint_of(run.folder.path()).string()));
  }
  return result.last;
}

int run_train(const TrainFlags& flags) {
  if (flags.summary) {
    const Model model = resolve_model(flags.model, image_format(flags.data.dataset));
    fmt::print("{}", summary(model, flags.options.batch_size));
    return 0;
  }
  const auto program_start = std::chrono::steady_clock::now();
  const BackendChoice device = make_backend(flags.device);
  const PreparedData data = load_limited(flags);
  Model model = resolve_model(flags.model, {data.pair.train.image, data.pair.train.classes, {}});
  model.preparation = data.preparation;
  Json record = describe(flags, data, model, device);
  record["preparation"] = json_of_preparation(*model.preparation);
  record.update(describe(flags.optimizer));
  record.update(describe(flags.options.augmentation));
  const std::string name = run_name(flags.model, data.location.dataset, flags.options.seed);
  const auto path = flags.out.empty() ? std::filesystem::path("runs") / name : flags.out;
  if (!flags.overwrite) refuse_to_replace(path, record, flags.init);
  const RunFolder folder(path);
  folder.require_space(bytes_of_run(model));
  Trainer trainer(*device.backend, model, first_state(flags, model), flags.options);

  const auto report = flags.json ? make_json_report() : make_text_report();
  report->run(record);
  const auto start = std::chrono::steady_clock::now();
  const EpochReport last =
      train_and_write(flags, trainer, {device, data, model, record, folder}, *report, program_start);
  const TimedEvaluation evaluation = evaluate(trainer, data.pair.test);
  report->evaluated(evaluation);

  const Json results = {{"loss", evaluation.result.loss},
                        {"accuracy", evaluation.result.accuracy},
                        {"train_loss", last.loss},
                        {"train_accuracy", last.accuracy},
                        {"images_per_second", last.images_per_second},
                        {"seconds", seconds_since(start)},
                        {"checkpoint", checkpoint_of(folder.path()).string()}};
  record["results"] = results;
  folder.write_record(record);
  report->done(results);
  return 0;
}

}  // namespace

Command add_train(CLI::App& program) {
  const auto flags = std::make_shared<TrainFlags>();
  CLI::App& command = *program.add_subcommand("train", "Train a model and write its checkpoint");
  TrainOptions& options = flags->options;
  add_data_flags(command, flags->data);
  add_image_flags(command, flags->images, kTransposeFiles);
  add_device_flags(command, flags->device);
  add_model_flag(command, flags->model, "convnet");
  command.add_option("--epochs", options.epochs, "Passes over the training images")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--batch-size", options.batch_size, "Images a step")
      ->check(at_least(1))
      ->capture_default_str();
  add_optimizer_flags(command, flags->optimizer);
  add_augmentation_flags(command, options.augmentation);
  command.add_option("--seed", options.seed, "Seed of the weights, the order of images and dropout")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--log-every", options.log_every, "Steps between two lines of loss; 0: none")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--profile", options.profile_steps,
                  "Profile N steps: a table of times by layer, and profile.json for chrome://tracing")
      ->check(at_least(0));
  command.add_flag("--check-finite", options.check_finite,
                   "Stop with the first layer and step that made a NaN or infinity (on a GPU a fused ReLU "
                   "may hide a NaN for a while)");
  command
      .add_option(
          "--settle", options.settle_batches,
          "Average the last weights and settle batch norm on N batches; 0: neither, as the classic program")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--init", flags->init, "Start from a checkpoint, Convoy's or PyTorch's")
      ->check(not_empty());
  command.add_option("--out", flags->out, "Folder of the run; without it runs/MODEL-DATASET-SEED")
      ->check(not_empty());
  command.add_flag("--overwrite", flags->overwrite, "Replace the finished model that the folder holds");
  command.add_option("--limit-train", flags->limit_train, "Use only the first N training images; 0: all")
      ->check(at_least(0));
  command.add_option("--limit-test", flags->limit_test, "Use only the first N test images; 0: all")
      ->check(at_least(0));
  CLI::Option* summary =
      command.add_flag("--summary", flags->summary, "Print the model's layers, shapes and FLOPs, and stop");
  add_json_flag(command, flags->json);
  summary->excludes("--json");
  set_footer(command,
             "  convoy train\n"
             "  convoy train --dataset cifar10 --model resnet9 --epochs 10 --shift 4 --flip\n"
             "  convoy train --optimizer sgd --lr 0.05 --momentum 0.9\n"
             "  convoy train --model my_model.json --data my_idx_files --dataset idx\n"
             "  convoy train --profile 20\n"
             "  convoy train --init pytorch.pt --lr 1e-4 --out runs/tuned\n");
  return {&command, [flags] {
            flags->options.optimizer = optimizer_options(flags->optimizer);
            return run_train(*flags);
          }};
}

}  // namespace convoy
