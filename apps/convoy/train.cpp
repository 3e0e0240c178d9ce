// convoy train: from data to a checkpoint.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "apps/convoy/averaging.h"
#include "apps/convoy/commands.h"
#include "apps/convoy/group_run.h"
#include "apps/convoy/guarded_fit.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/plan_table.h"
#include "apps/convoy/recorded_flags.h"
#include "apps/convoy/resume.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/run_log.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/train_data.h"
#include "apps/convoy/train_flags.h"
#include "apps/convoy/train_record.h"
#include "apps/convoy/train_report.h"
#include "apps/convoy/validation.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "convoy/state.h"

namespace convoy {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// What the checkpoint that training starts from says of its images, or else the model's file.
std::optional<Preparation> earlier_preparation(const TrainFlags& flags) {
  if (!flags.init.empty()) return recorded_preparation(flags.init);
  const std::filesystem::path file = flags.model;
  return file.extension() == ".json" ? load_model(file).preparation : std::nullopt;
}

StateDict first_state(const TrainFlags& flags, const Model& model, const std::optional<Resumed>& resumed) {
  if (resumed && resumed->state) return resumed->state->training.snapshot.model;
  if (flags.init.empty()) return initial_state(model, flags.options.seed);
  return match_state(model, load_checkpoint(flags.init, say_note), flags.init.string(), say_note);
}

TimedEvaluation evaluate(Trainer& trainer, const Dataset& dataset) {
  const auto start = std::chrono::steady_clock::now();
  TimedEvaluation evaluation;
  evaluation.result = trainer.evaluate(dataset);
  evaluation.seconds = seconds_since(start);
  return evaluation;
}

/// Tells `report` of what happens once; `start` is the program's.
TrainObserver observer_of_start(const Backend& backend, TrainReport& report, const RunFolder& folder,
                                std::chrono::steady_clock::time_point start) {
  TrainObserver observer;
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
  const TrainFlags& flags;
  const BackendChoice& device;
  const TrainData& data;
  const Model& model;
  const Json& record;
  const std::optional<Resumed>& resumed;
  RunFolder& folder;
  RunLog& log;
};

/// Begins the folder's content, or goes on with it: nothing can be asked wrongly any more.
void begin(const Run& run) {
  if (run.resumed) {
    if (run.resumed->state) put_newer_states_aside(run.folder.path(), run.resumed->state->file);
    run.folder.write_record(run.record);
  } else {
    run.folder.begin(run.model, run.record);
  }
  run.log.open(run.folder.path() / "log.jsonl", run.resumed ? run.resumed->notes.log_bytes : 0);
}

/// Trains and writes the model; until then signals only stop the training. Returns the last epoch's report.
EpochReport train_and_write(const Run& run, Trainer& trainer, TrainReport& report,
                            std::chrono::steady_clock::time_point program_start) {
  const TrainFlags& flags = run.flags;
  const InterruptGuard guard;
  std::optional<Validation> validation;
  if (run.data.validation) {
    validation.emplace(trainer, *run.data.validation, flags.keep_best ? &run.folder : nullptr);
    if (run.resumed) validation->restore(run.resumed->notes.best);
  }
  EpochReport last = run.resumed ? run.resumed->notes.last : EpochReport{};
  StateKeeper keeper(run.folder, trainer, flags.options.optimizer, flags.save, [&] {
    return StateNotes{run.log.bytes(), last, validation ? validation->best() : Json()}.text();
  });
  TrainObserver observer = observer_of_start(*run.device.backend, report, run.folder, program_start);
  observer.prepared = [&] {
    report_plans(flags.device, *run.device.backend);
    if (validation) validation->prepare();
    keeper.prepare();
  };
  const std::string advice = fmt::format("try a smaller --lr than {}, or find the layer with --check-finite",
                                         flags.optimizer.learning_rate);
  Communicator& group = run.device.backend->group();
  begin(run);
  const StateDict state =
      guarded_fit({trainer, run.data.pair.train, report, keeper, validation ? &*validation : nullptr, last,
                   run.folder.path(), advice, group},
                  std::move(observer));
  run.folder.write_checkpoint("model.ckpt", state);  // first, so that nothing behind can lose it
  keeper.finish();
  if (any_interrupted(group)) {
    throw Interrupted(fmt::format("{} after the training; its model is {}, which was not tested",
                                  InterruptGuard::in_words(), checkpoint_of(run.folder.path()).string()),
                      signal_of_group());
  }
  return last;
}

/// What a resumed training was begun with, or what the flags ask for.
Model model_of(const TrainFlags& flags, const TrainData& data, const std::optional<Resumed>& resumed) {
  Model model = resumed ? resumed->model
                        : resolve_model(flags.model, {data.pair.train.image, data.pair.train.classes, {}});
  model.preparation = data.preparation;
  return model;
}

/// What the training may write: a state more than those that stay, for the one that is being written.
std::uint64_t room_for(const TrainFlags& flags, const Model& model, bool resumed) {
  const auto* const sgd = std::get_if<SgdOptions>(&flags.options.optimizer);
  const std::uint64_t moments = sgd == nullptr ? 2 : sgd->momentum > 0.0f ? 1 : 0;
  const std::uint64_t sets = 1 + moments + (flags.options.swa ? 1 : 0);
  // Those of a training that goes on are there already.
  return bytes_of_run(model, sets, resumed ? 1 : std::max<std::uint64_t>(flags.save.keep, 1) + 1);
}

/// Rank 0 first, which may have to download: processes of one machine share the folder.
TrainData load_in_turn(const TrainFlags& flags, const std::optional<Preparation>& earlier,
                       Communicator& group) {
  if (!group.leads()) group.barrier();
  TrainData data = load_train_data(flags, earlier);
  if (group.leads()) group.barrier();
  return data;
}

/// Lets the trainer go on where the training stopped; returns where that is.
TrainingPosition go_on(Trainer& trainer, const std::optional<Resumed>& resumed, const TrainOptions& options,
                       Communicator& group) {
  if (!resumed || !resumed->state) return {};
  const TrainingSnapshot snapshot = snapshot_for(*resumed, options.batch_size * group.size());
  trainer.restore(snapshot);
  return snapshot.position;
}

/// What all ranks but 0 do.
int follow(Trainer& trainer, const TrainData& data, Communicator& group) {
  std::optional<Validation> validation;
  if (data.validation) validation.emplace(trainer, *data.validation, nullptr);
  const InterruptGuard guard;
  follow_fit(trainer, data.pair.train, validation ? &*validation : nullptr, group);
  if (any_interrupted(group)) throw Interrupted("interrupted after the training", signal_of_group());
  trainer.evaluate(data.pair.test);
  return 0;
}

Json results_of(const Evaluation& evaluation, const EpochReport& last, double seconds,
                const std::filesystem::path& folder) {
  return {{"loss", evaluation.loss},
          {"accuracy", evaluation.accuracy},
          {"train_loss", last.loss},
          {"train_accuracy", last.accuracy},
          {"images_per_second", last.images_per_second},
          {"seconds", seconds},
          {"checkpoint", checkpoint_of(folder).string()}};
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
  flags.options.optimizer = optimizer_options(flags.optimizer);
  check_averaging(command, flags.options);
  if (flags.keep_best && flags.validation == 0)
    throw UsageError("--keep-best needs --validation N, as --validation 5000");
  const BackendChoice device = make_backend(flags.device, launched);
  Communicator& group = device.backend->group();
  const TrainData data =
      load_in_turn(flags, resumed ? resumed->model.preparation : earlier_preparation(flags), group);
  const Model model = model_of(flags, data, resumed);
  if (!group.leads()) {
    Trainer trainer(*device.backend, model, first_state(flags, model, resumed), flags.options);
    go_on(trainer, resumed, flags.options, group);
    return follow(trainer, data, group);
  }
  Json record = describe(flags, given_flags(command), data, model, device);
  record.update(checksums_of(data));
  if (resumed) {
    check_resumed(*resumed, record, flags.allow_changes);
  } else {
    const std::string name = run_name(flags.model, data.location.dataset, flags.options.seed);
    folder.emplace(flags.out.empty() ? std::filesystem::path("runs") / name : flags.out);
    if (!flags.overwrite) refuse_to_replace(folder->path(), record);
  }
  folder->require_space(room_for(flags, model, resumed.has_value()));
  Trainer trainer(*device.backend, model, first_state(flags, model, resumed), flags.options);
  const TrainingPosition from = go_on(trainer, resumed, flags.options, group);

  RunLog log;
  const auto report = make_logged_report(flags.json ? make_json_report() : make_text_report(), log);
  report->run(record);
  if (resumed) report->resumed(resumed->state ? resumed->state->file : "", from);
  const auto start = std::chrono::steady_clock::now();
  const EpochReport last = train_and_write({flags, device, data, model, record, resumed, *folder, log},
                                           trainer, *report, program_start);
  const TimedEvaluation evaluation = evaluate(trainer, data.pair.test);
  report->evaluated(evaluation);

  record["results"] = results_of(evaluation.result, last, seconds_since(start), folder->path());
  folder->write_record(record);
  folder->finish();
  report->done(record["results"]);
  return 0;
}

int run_train(CLI::App& command, TrainFlags& flags) {
  if (flags.summary) {
    const Model model = resolve_model(flags.model, image_format(flags.data.dataset));
    fmt::print("{}", summary(model, flags.options.batch_size));
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
