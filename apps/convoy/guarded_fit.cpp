#include "apps/convoy/guarded_fit.h"

#include <fmt/format.h>

#include <cmath>

#include "apps/convoy/interrupt.h"
#include "convoy/error.h"
#include "convoy/state.h"

namespace convoy {
namespace {

/// The numbers of the training are lost, and nothing but that is wrong.
class Diverged : public Error {
 public:
  using Error::Error;
};

void stop_if_interrupted(const Progress& at) {
  if (!InterruptGuard::interrupted()) return;
  throw Interrupted(fmt::format("{} in epoch {} of {} after step {} of {}", InterruptGuard::in_words(),
                                at.epoch, at.epochs, at.step, at.steps),
                    InterruptGuard::signal());
}

/// Throws unless the loss, of a step or of an epoch's mean, is finite.
void stop_if_diverged(const Progress& at, double loss, const std::string& advice) {
  if (std::isfinite(loss)) return;
  throw Diverged(fmt::format("training diverged: the loss is {} in epoch {} of {} after step {} of {}; {}",
                             std::abs(loss) /* "nan", whatever its sign */, at.epoch, at.epochs, at.step,
                             at.steps, advice));
}

FitResult fit(const GuardedFit& what, TrainObserver observer) {
  auto& [trainer, dataset, report, keeper, validation, folder, advice] = what;
  FitResult result;
  observer.progress = [&](const Progress& progress) {
    report.progress(progress);
    stop_if_interrupted(progress);
  };
  observer.step = [&](const StepReport& step) {
    report.step(step);
    stop_if_diverged(step, step.loss, advice);
    keeper.after_step();
  };
  // A GPU's steps are enqueued long before this waits for them, and that is when most interrupts arrive.
  observer.epoch = [&](const EpochReport& epoch) {
    report.epoch(result.last = epoch);
    stop_if_diverged(epoch, epoch.loss, advice);
    if (validation) report.validated(epoch, validation->after_epoch(epoch.epoch));
    stop_if_interrupted(epoch);
    keeper.after_epoch(epoch);
  };
  observer.save = [&](const Progress&) { keeper.after_steps(); };
  trainer.fit(dataset, observer);
  stop_if_interrupted(result.last);
  result.state = trainer.state();
  try {
    check_finite(result.state, "the trained state");
  } catch (const Error& error) {  // of the last steps, whose loss nobody saw
    throw Diverged(fmt::format("training diverged: {}; {}", error.what(), advice));
  }
  return result;
}

std::string of_last_finite(const GuardedFit& what) {
  const auto file = what.keeper.save_last_finite();
  if (!file) return "no state since the start is known to be finite, and none is kept";
  return fmt::format("the last state known to be finite is {}; go on from it with --resume {}",
                     file->string(), what.folder.string());
}

}  // namespace

FitResult guarded_fit(const GuardedFit& what, TrainObserver observer) {
  try {
    return fit(what, std::move(observer));
  } catch (const Interrupted& interrupted) {
    const auto file = what.keeper.save_now();
    throw Interrupted(fmt::format("{}; its state is {}: go on with --resume {}", interrupted.what(),
                                  file.string(), what.folder.string()),
                      interrupted.signal());
  } catch (const Diverged& error) {
    throw Error(fmt::format("{}; {}", error.what(), of_last_finite(what)));
  } catch (const UsageError&) {
    throw;  // before the first step
  } catch (const Error& error) {
    throw Error(fmt::format("{}; {}", error.what(), of_last_finite(what)), error.remedy());
  }
}

}  // namespace convoy
