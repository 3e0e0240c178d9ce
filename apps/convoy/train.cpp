// convoy train: from data to a checkpoint.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "apps/convoy/averaging.h"
#include "apps/convoy/commands.h"
#include "apps/convoy/group_run.h"
#include "apps/convoy/resume.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/seeds.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/train_data.h"
#include "apps/convoy/train_flags.h"
#include "apps/convoy/train_report.h"
#include "apps/convoy/training.h"
#include "convoy/builtin.h"
#include "convoy/catalog.h"
#include "convoy/error.h"
#include "convoy/model_file.h"

namespace convoy {
namespace {

/// What the checkpoint that training starts from says of its images, or else the model's file.
std::optional<Preparation> earlier_preparation(const TrainFlags& flags) {
  if (!flags.init.empty()) return recorded_preparation(flags.init);
  const std::filesystem::path file = flags.model;
  return file.extension() == ".json" ? load_model(file).preparation : std::nullopt;
}

/// Rank 0 first, which may have to download: processes of one machine share the folder.
TrainData load_in_turn(const TrainFlags& flags, const std::optional<Preparation>& earlier,
                       Communicator& group) {
  if (!group.leads()) group.barrier();
  TrainData data = load_train_data(flags, earlier);
  if (group.leads()) group.barrier();
  return data;
}

/// Without --dataset it is what lies in --data or CONVOY_DATA, if that can be told.
void take_dataset(const CLI::App& command, DataFlags& flags) {
  if (command.get_option("--dataset")->count() == 0) flags.dataset = recognised_dataset(flags, flags.dataset);
}

/// The format of the images for a built-in model. Only data of one's own have to be loaded for it.
ImageFormat format_of(const TrainFlags& flags) {
  const auto own = own_data_names();
  const auto built_in = builtin_model_names();
  const bool load = !named_folder(flags.data).empty() &&
                    std::ranges::find(own, flags.data.dataset) != own.end() &&
                    std::ranges::find(built_in, flags.model) != built_in.end();
  if (!load) return image_format(flags.data.dataset);
  const Dataset train = load_data(flags.data, /*with_bar=*/true, /*allow_stand_in=*/false).pair.train;
  return {train.image, train.classes, train.normalization};
}

/// Those that several flags make together. Throws UsageError for what does not go together.
void take_options(const CLI::App& command, TrainFlags& flags) {
  set_optimizer(flags.options, flags.optimizer);
  check_averaging(command, flags.options);
  flags.options.schedule = schedule_of(flags.schedule, flags.options.optimizer);
}

int train_in(CLI::App& command, TrainFlags& flags, const std::shared_ptr<Communicator>& launched) {
  const auto program_start = std::chrono::steady_clock::now();
  std::optional<RunFolder> folder;  // rank 0's
  std::optional<Resumed> resumed;
  if (!flags.resume.empty()) {
    require_folder(flags.resume);
    if (launched->leads()) folder.emplace(flags.resume);  // which mends what a kill left there
    const Json record = record_to_resume(flags.resume);
    if (!flags.allow_changes && tell_if_finished(command, record, flags.resume)) return 0;
    resumed = read_resumed(command, flags.resume, record, flags.allow_changes);
    flags.data.dataset = record["dataset"];  // a stand-in, too
  }
  if (!resumed) take_dataset(command, flags.data);
  take_options(command, flags);
  if (flags.keep_best && flags.validation == 0)
    throw UsageError("--keep-best needs --validation N, as --validation 5000");
  check_early_end(flags.early_end, flags.validation);
  if (!flags.seeds.seeds.empty()) {
    if (launched->size() > 1)
      throw UsageError("--seeds trains in one process: start it without mpirun or torchrun");
    const TrainData data = load_train_data(flags, earlier_preparation(flags));
    check_length(flags.options, data.pair.train.count(), *launched);
    train_seeds({command, flags, data, launched});
    return 0;
  }
  const BackendChoice device = make_backend(flags.device, launched);
  Communicator& group = device.backend->group();
  const TrainData data =
      load_in_turn(flags, resumed ? resumed->model.preparation : earlier_preparation(flags), group);
  check_length(flags.options, data.pair.train.count(), group);
  const KeptFlags kept = kept_flags(command, flags, data);
  const Training training{flags, kept, data, device, resumed, program_start};
  if (group.leads()) {
    run_training(training, folder, flags.json ? make_json_report() : make_text_report([&device] {
                   return static_cast<std::uint64_t>(device.backend->memory().allocated);
                 }));
  } else {
    follow_training(training);
  }
  return 0;
}

int run_train(CLI::App& command, TrainFlags& flags) {
  take_config(command, flags.config);
  if (flags.config.print) {
    take_options(command, flags);  // only to be refused
    put_for_programs(config_text(command));
    return 0;
  }
  if (flags.summary) {
    take_dataset(command, flags.data);
    const Model model = resolve_model(flags.model, format_of(flags));
    put(summary(model, flags.options.batch_size));
    return 0;
  }
  return run_in_group(
      [&](const std::shared_ptr<Communicator>& group) { return train_in(command, flags, group); });
}

}  // namespace

Command add_train(CLI::App& program) {
  const auto flags = std::make_shared<TrainFlags>();
  CLI::App& command = *program.add_subcommand("train", "Train a model and write its checkpoint");
  add_train_flags(command, *flags);
  return {&command, [&command, flags] { return run_train(command, *flags); }};
}

}  // namespace convoy
