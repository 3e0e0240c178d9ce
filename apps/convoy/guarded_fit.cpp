#include "apps/convoy/guarded_fit.h"

#include <fmt/format.h>

#include <cmath>

#include "apps/convoy/failure.h"
#include "apps/convoy/group_run.h"
#include "apps/convoy/interrupt.h"
#include "convoy/error.h"

namespace convoy {
namespace {

/// The numbers of the training are lost, and nothing but that is wrong.
class Diverged : public Error {
 public:
  using Error::Error;
};

void stop_if_interrupted(Trainer& trainer, Communicator& group, const Progress& at) {
  if (!any_interrupted(group)) return;
  trainer.metrics();  // while all processes are here, of whom one saves
  throw Interrupted(fmt::format("{} in epoch {} of {} after step {} of {}", InterruptGuard::in_words(),
                                at.epoch, at.epochs, at.step, at.steps),
                    signal_of_group());
}

/// Throws unless the loss, of a step or of an epoch's mean, is finite.
void stop_if_diverged(const Progress& at, double loss, const std::string& advice) {
  if (std::isfinite(loss)) return;
  throw Diverged(fmt::format("training diverged: the loss is {} in epoch {} of {} after step {} of {}; {}",
                             std::abs(loss) /* "nan", whatever its sign */, at.epoch, at.epochs, at.step,
                             at.steps, advice));
}

/// What all ranks do behind an epoch.
void evaluate_epoch(const EpochReport& epoch, Validation* validation, EarlyEnd& early, TrainReport* report) {
  std::optional<Evaluation> held_out;
  if (validation) {
    held_out = early.clock().evaluate([&] { return validation->after_epoch(epoch.epoch); });
    if (report) report->validated(epoch, *held_out);
  }
  early.after_epoch(epoch, held_out, report);
}

/// What rank 0 has found: its state is the model's.
bool any_not_finite(Communicator& group, bool found) { return sum_of(group, found ? 1.0 : 0.0) > 0.0; }

StateDict fit(const GuardedFit& what, TrainObserver observer) {
  auto& [trainer, dataset, report, keeper, validation, early, last, folder, advice, group, launched] = what;
  observer.progress = [&](const Progress& progress) {
    report.progress(progress);
    if (launched) launched();
    stop_if_interrupted(trainer, group, progress);
  };
  observer.step = [&](const StepReport& step) {
    report.step(step);
    stop_if_diverged(step, step.loss, advice);
    keeper.after_step();
  };
  // A GPU's steps are enqueued long before this waits for them, and that is when most interrupts arrive.
  observer.epoch = [&](const EpochReport& epoch) {
    report.epoch(last = epoch);
    stop_if_diverged(epoch, epoch.loss, advice);
    evaluate_epoch(epoch, validation, early, &report);
    stop_if_interrupted(trainer, group, epoch);
    keeper.after_epoch(epoch, early.ended());
  };
  observer.pause = [&](const Progress& at) { early.after_steps(at, &report); };
  observer.save = [&](const Progress&) { keeper.after_steps(); };
  trainer.fit(dataset, observer);
  early.clock().stop();
  stop_if_interrupted(trainer, group, last);
  early.tell(report);
  StateDict state = trainer.state();
  if (any_not_finite(group, !is_finite(state))) {  // the last steps, whose loss nobody saw
    throw Diverged(fmt::format("training diverged: a weight is not finite after the last step; {}", advice));
  }
  return state;
}

std::string how_to_go_on(const GuardedFit& what) {
  return fmt::format("go on with --resume {}", what.folder.string());
}

/// Saves the state of now; what is said of that.
Interrupted save_now(const GuardedFit& what, const Interrupted& interrupted) {
  std::string kept;
  bool saved = false;
  try {
    kept = fmt::format("its state is {}: {}", what.keeper.save_now().string(), how_to_go_on(what));
    saved = true;
  } catch (const Error& error) {
    kept = fmt::format("its state is not kept: {}; from one before it {}", error.what(), how_to_go_on(what));
  }
  return {fmt::format("{}; {}", interrupted.what(), kept), interrupted.signal(), saved};
}

/// Saves the last state that was finite.
std::string save_last_finite(const GuardedFit& what) {
  try {
    const auto file = what.keeper.save_last_finite();
    if (!file) return "no state since the start is known to be finite, and none is kept";
    return fmt::format("the last state known to be finite is {}: {}", file->string(), how_to_go_on(what));
  } catch (const Error& error) {
    return fmt::format("the last state known to be finite is not kept: {}", error.what());
  }
}

}  // namespace

StateDict guarded_fit(const GuardedFit& what, TrainObserver observer) {
  try {
    return fit(what, std::move(observer));
  } catch (const Interrupted& interrupted) {
    const Interrupted kept = save_now(what, interrupted);
    what.group.barrier();
    throw kept;
  } catch (const Diverged& error) {
    const std::string kept = save_last_finite(what);
    what.group.barrier();
    throw CommonError(fmt::format("{}; {}", error.what(), kept));
  } catch (const UsageError&) {
    throw;  // before the first step
  } catch (const Error& error) {
    throw Error(fmt::format("{}; {}", error.what(), save_last_finite(what)), error.remedy());
  }
}

void follow_fit(Trainer& trainer, const Dataset& dataset, Validation* validation, EarlyEnd& early,
                Communicator& group) {
  Progress last;
  TrainObserver observer;
  observer.prepared = [&] {
    if (validation) validation->prepare();
    early.prepare();
  };
  observer.first_step = [] {};  // all wait there for their devices, as rank 0 does
  observer.progress = [&](const Progress& progress) { stop_if_interrupted(trainer, group, progress); };
  observer.step = [](const StepReport& step) { stop_if_diverged(step, step.loss, ""); };
  observer.epoch = [&](const EpochReport& epoch) {
    stop_if_diverged(last = epoch, epoch.loss, "");
    evaluate_epoch(epoch, validation, early, nullptr);
    stop_if_interrupted(trainer, group, epoch);
  };
  observer.pause = [&](const Progress& at) { early.after_steps(at, nullptr); };
  try {
    trainer.fit(dataset, observer);
    stop_if_interrupted(trainer, group, last);
    if (any_not_finite(group, false)) throw Diverged("training diverged");
  } catch (const Interrupted&) {
    group.barrier();  // rank 0 saves
    throw;
  } catch (const Diverged& error) {
    group.barrier();
    throw CommonError(error.what());
  }
}

}  // namespace convoy
