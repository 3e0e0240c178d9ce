#include "apps/convoy/training.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/convoy/config_file.h"
#include "apps/convoy/early_end.h"
#include "apps/convoy/final_test.h"
#include "apps/convoy/group_run.h"
#include "apps/convoy/guarded_fit.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/page_profile.h"
#include "apps/convoy/plan_table.h"
#include "apps/convoy/recorded_flags.h"
#include "apps/convoy/report/write_report.h"
#include "apps/convoy/run_log.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/tensorboard/tensorboard_report.h"
#include "apps/convoy/train_record.h"
#include "apps/convoy/validation.h"
#include "apps/convoy/write_target.h"
#include "convoy/builtin.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "convoy/profile.h"
#include "convoy/state.h"

namespace convoy {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

StateDict first_state(const TrainFlags& flags, const Model& model, const std::optional<Resumed>& resumed) {
  if (resumed && resumed->state) return resumed->state->training.snapshot.model;
  if (flags.init.empty()) return initial_state(model, flags.options.seed);
  return match_state(model, load_checkpoint(flags.init, say_note), flags.init.string(), say_note);
}

/// Tells `report` of what happens once; `start` is the program's. A profile that nobody asked for is `kept`.
TrainObserver observer_of_start(const Backend& backend, TrainReport& report, const RunFolder& folder,
                                std::chrono::steady_clock::time_point start, bool asked,
                                std::optional<StepProfile>& kept) {
  TrainObserver observer;
  observer.first_step = [&, start] {
    const double seconds = seconds_since(start);
    const std::vector<PlanRow> plans = backend.plans();
    report.first_step(seconds, plans.empty() ? "" : plan_summary(plans));
  };
  observer.profile = [&, asked](const StepProfile& profile) {
    kept = profile;
    if (!asked) return;
    folder.write_profile(profile.chrome_trace());
    report.profile(profile, folder.path() / kProfileFile);
  };
  return observer;
}

/// A training that is about to write.
struct Run : Training {
  const Model& model;
  const Json& record;
  RunFolder& folder;
  RunLog& log;
  std::optional<StepProfile>& profile;  // once there is one
};

/// Who is told of it: the screen, the log and, if it was asked for, TensorBoard.
struct Reports {
  std::unique_ptr<TrainReport> all;
  TensorBoardReport* tensorboard = nullptr;  // one of them
};

Reports make_reports(const Run& run, const Trainer& trainer, std::unique_ptr<TrainReport> screen) {
  Reports reports{make_logged_report(std::move(screen), run.log)};
  if (!run.flags.tensorboard) return reports;
  auto tensorboard = std::make_unique<TensorBoardReport>(run.folder.path(), run.model, trainer);
  reports.tensorboard = tensorboard.get();
  reports.all = make_both_reports(std::move(reports.all), std::move(tensorboard));
  return reports;
}

/// What has become of it.
struct Trained {
  StateDict state;
  EpochReport last;
  std::string ended_by;
  double training_seconds;
  double evaluation_seconds;
};

/// Begins the folder's content, or goes on with it: nothing can be asked wrongly any more.
void begin(const Run& run) {
  if (run.resumed) {
    if (run.resumed->state) put_newer_states_aside(run.folder.path(), run.resumed->state->file);
    run.folder.write_record(run.record);
    std::error_code none;  // the page tells of an earlier end, and of results that are not the run's any more
    std::filesystem::remove(run.folder.path() / kReportFile, none);
  } else {
    run.folder.begin(run.model, run.record);
  }
  run.folder.write_config(run.kept.config_file);
  run.log.open(run.folder.path() / "log.jsonl", run.resumed ? run.resumed->notes.log_bytes : 0);
}

/// Trains and writes the model; until then signals only stop the training.
Trained train_and_write(const Run& run, Trainer& trainer, TrainReport& report) {
  const TrainFlags& flags = run.flags;
  const InterruptGuard guard;
  std::optional<Validation> validation;
  if (run.data.validation) {
    validation.emplace(trainer, *run.data.validation, flags.keep_best ? &run.folder : nullptr);
    if (run.resumed) validation->restore(run.resumed->notes.best);
  }
  EarlyEnd early(trainer, flags.early_end, run.data.pair.test, flags.early_end.tests(flags.options));
  if (run.resumed) early.restore(run.resumed->notes.early_end);
  EpochReport last = run.resumed ? run.resumed->notes.last : EpochReport{};
  StateKeeper keeper(run.folder, trainer, flags.options, flags.save, [&] {
    return StateNotes{run.log.bytes(), last, validation ? validation->best() : Json(), early.memory()}.text();
  });
  TrainObserver observer = observer_of_start(*run.device.backend, report, run.folder, run.start,
                                             flags.options.profile_steps > 0, run.profile);
  observer.prepared = [&] {
    report_plans(flags.device, *run.device.backend);
    if (validation) validation->prepare();
    keeper.prepare();
    early.prepare();
  };
  const std::string advice = fmt::format("try a smaller --lr than {}, or find the layer with --check-finite",
                                         flags.optimizer.learning_rate);
  Communicator& group = run.device.backend->group();
  begin(run);
  StateDict state =
      guarded_fit({trainer, run.data.pair.train, report, keeper, validation ? &*validation : nullptr, early,
                   last, run.folder.path(), advice, group, run.launched},
                  std::move(observer));
  run.folder.write_checkpoint("model.ckpt", state);  // first, so that nothing behind can lose it
  keeper.finish();
  if (any_interrupted(group)) {
    throw Interrupted(fmt::format("{} after the training; its model is {}, which was not tested",
                                  InterruptGuard::in_words(), checkpoint_of(run.folder.path()).string()),
                      signal_of_group());
  }
  return {std::move(state), last, early.ended_by(), early.clock().training(), early.clock().evaluation()};
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
  const std::uint64_t moments = sgd == nullptr ? 2 : sgd->momentum > 0.0f || flags.options.muon ? 1 : 0;
  const std::uint64_t sets = 1 + moments + (flags.options.swa || flags.options.ema_decay > 0.0 ? 1 : 0);
  // Those of a training that goes on are there already.
  return bytes_of_run(model, sets, resumed ? 1 : std::max<std::uint64_t>(flags.save.keep, 1) + 1);
}

/// Lets the trainer go on where the training stopped; returns where that is.
TrainingPosition go_on(Trainer& trainer, const std::optional<Resumed>& resumed, const TrainOptions& options,
                       Communicator& group) {
  if (!resumed || !resumed->state) return {};
  const TrainingSnapshot snapshot = snapshot_for(*resumed, options.batch_size * group.size());
  trainer.restore(snapshot);
  return snapshot.position;
}

Json results_of(const Evaluation& evaluation, const Trained& trained, double seconds,
                const Training& training, const std::filesystem::path& folder) {
  const EpochReport& last = trained.last;
  const std::int64_t count = training.data.pair.train.count();
  const std::int64_t batch = training.flags.options.batch_size * training.device.backend->group().size();
  // A state of an older Convoy does not say where its last epoch ended.
  const Json images =
      last.epoch == 0 ? Json() : Json((last.epoch - 1) * count + std::min(last.step * batch, count));
  return {{"loss", evaluation.loss},
          {"accuracy", evaluation.accuracy},
          {"train_loss", last.loss},
          {"train_accuracy", last.accuracy},
          {"images_per_second", last.images_per_second},
          {"seconds", seconds},
          {"training_seconds", trained.training_seconds},
          {"evaluation_seconds", trained.evaluation_seconds},
          {"ended", trained.ended_by},
          {"images", images},
          {"checkpoint", checkpoint_of(folder).string()}};
}

/// Trains, tests, and writes what came of it; returns the results as run.json has them.
Json train_and_test(const Run& run, Trainer& trainer, const Reports& reports) {
  const auto begin = std::chrono::steady_clock::now();
  const Trained trained = train_and_write(run, trainer, *reports.all);
  const Dataset& images = run.data.pair.test;
  const Tested tested = test_trained(trainer, images, shows_samples(run.flags));
  reports.all->evaluated(tested.evaluation);

  Json record = run.record;
  const std::filesystem::path& folder = run.folder.path();
  record["results"] = results_of(tested.evaluation.result, trained, seconds_since(begin), run, folder);
  run.folder.write_record(record);
  run.folder.finish();
  std::vector<std::string> names = class_names(run.data.location.dataset, class_count(run.model));
  std::copy_n(images.class_names.begin(), std::min(names.size(), images.class_names.size()), names.begin());
  if (reports.tensorboard) reports.tensorboard->pictures(trained.state, images, tested.logits, names);
  if (!run.flags.no_report) {
    write_report({.folder = folder,
                  .record = record,
                  .profile = run.profile ? &*run.profile : nullptr,
                  .state = &trained.state,
                  .test = &images,
                  .logits = &tested.logits,
                  .class_names = names});
  }
  reports.all->done(record["results"]);
  return record["results"];
}

}  // namespace

std::filesystem::path folder_of(const TrainFlags& flags, const std::string& dataset) {
  if (!flags.out.empty()) return flags.out;
  // A run's own model.json is called as the model is.
  const std::filesystem::path file = flags.model;
  const std::string model = file.filename() == "model.json" ? load_model(file).name : flags.model;
  return std::filesystem::path("runs") / run_name(model, dataset, flags.options.seed);
}

KeptFlags kept_flags(const CLI::App& command, const TrainFlags& flags, const TrainData& data) {
  const std::string seed = std::to_string(flags.options.seed);
  ConfigChanges changes = {{"--dataset", data.location.dataset}, {"--seed", seed}};
  const auto built_in = builtin_model_names();
  if (std::ranges::find(built_in, flags.model) == built_in.end()) changes["--model"] = "model.json";
  KeptFlags kept{given_flags(command), config_json(command, changes), config_text(command, changes)};
  if (!flags.seeds.seeds.empty()) kept.given["--seed"] = {seed};
  return kept;
}

Json record_of(const Training& training) {
  const auto& [flags, kept, data, device, resumed, start, launched] = training;
  Json record = describe(flags, kept.given, data, model_of(flags, data, resumed), device);
  record["config"] = kept.config;
  record.update(checksums_of(data));
  return record;
}

Json run_training(const Training& training, std::optional<RunFolder>& folder,
                  std::unique_ptr<TrainReport> screen) {
  const auto& [flags, kept, data, device, resumed, start, launched] = training;
  const Model model = model_of(flags, data, resumed);
  const Json record = record_of(training);
  if (resumed) {
    check_resumed(*resumed, record, flags.allow_changes);
  } else {
    folder.emplace(folder_of(flags, data.location.dataset));
    refuse_to_lose(flags, folder->path(), record);
  }
  if (!resumed && flags.seeds.seeds.empty()) note_idle_outputs(class_count(model), data.pair.train.classes);
  folder->require_space(room_for(flags, model, resumed.has_value()));
  Trainer trainer(*device.backend, model, first_state(flags, model, resumed), with_page_profile(training));
  const TrainingPosition from = go_on(trainer, resumed, flags.options, device.backend->group());

  RunLog log;
  std::optional<StepProfile> profile;
  const Run run{training, model, record, *folder, log, profile};
  const Reports reports = make_reports(run, trainer, std::move(screen));
  reports.all->run(record);
  if (resumed) reports.all->resumed(resumed->state ? resumed->state->file : "", from);
  try {
    return train_and_test(run, trainer, reports);
  } catch (const std::exception& error) {
    if (log.is_open() && !flags.no_report) {
      const InterruptGuard guard;  // a batch system that asks again leaves no half-written page
      write_report({.folder = folder->path(),
                    .record = record,
                    .failure = error.what(),
                    .profile = profile ? &*profile : nullptr});
    }
    throw;
  }
}

void follow_training(const Training& training) {
  const auto& [flags, kept, data, device, resumed, start, launched] = training;
  Communicator& group = device.backend->group();
  const Model model = model_of(flags, data, resumed);
  Trainer trainer(*device.backend, model, first_state(flags, model, resumed), with_page_profile(training));
  go_on(trainer, resumed, flags.options, group);
  std::optional<Validation> validation;
  if (data.validation) validation.emplace(trainer, *data.validation, nullptr);
  EarlyEnd early(trainer, flags.early_end, data.pair.test, flags.early_end.tests(flags.options));
  if (resumed) early.restore(resumed->notes.early_end);
  const InterruptGuard guard;
  follow_fit(trainer, data.pair.train, validation ? &*validation : nullptr, early, group);
  if (any_interrupted(group)) throw Interrupted("interrupted after the training", signal_of_group());
  test_trained(trainer, data.pair.test, shows_samples(flags));
}

}  // namespace convoy
