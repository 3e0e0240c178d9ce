#include "apps/convoy/guarded_fit.h"

#include <fmt/format.h>

#include <cmath>

#include "apps/convoy/interrupt.h"
#include "convoy/error.h"

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
                                at.epoch, at.epochs, at.step, at.steps));
}

/// Throws unless the loss, of a step or of an epoch's mean, is finite.
void stop_if_diverged(const Progress& at, double loss, const std::string& advice) {
  if (std::isfinite(loss)) return;
  throw Diverged(fmt::format("training diverged: the loss is {} in epoch {} of {} after step {} of {}; {}",
                             std::abs(loss) /* "nan", whatever its sign */, at.epoch, at.epochs, at.step,
                             at.steps, advice));
}

FitResult fit(Trainer& trainer, const Dataset& dataset, TrainReport& report, TrainObserver observer,
              StateKeeper& keeper, const std::string& advice) {
  FitResult result;
  observer.progress = [&](const Progress& progress) {
    report.progress(progress);
    stop_if_interrupted(progress);
  };
  observer.step = [&](const StepReport& step) {
    report.step(step);
    stop_if_diverged(step, step.loss, advice);
    keeper.after_step(step);
  };
  // A GPU's steps are enqueued long before this waits for them, and that is when most interrupts arrive.
  observer.epoch = [&](const EpochReport& epoch) {
    report.epoch(result.last = epoch);
    stop_if_diverged(epoch, epoch.loss, advice);
    stop_if_interrupted(epoch);
    keeper.after_epoch(epoch);
  };
  trainer.fit(dataset, observer);
  stop_if_interrupted(result.last);
  result.state = trainer.state();
  if (!is_finite(result.state)) {  // the last steps, whose loss nobody saw
    throw Diverged(fmt::format("training diverged: a weight is not finite after the last step; {}", advice));
  }
  return result;
}

}  // namespace

FitResult guarded_fit(Trainer& trainer, const Dataset& dataset, TrainReport& report, TrainObserver observer,
                      StateKeeper& keeper, const std::string& advice) {
  try {
    return fit(trainer, dataset, report, std::move(observer), keeper, advice);
  } catch (const Interrupted& interrupted) {
    throw Interrupted(fmt::format("{}; go on from there with --init {}", interrupted.what(),
                                  keeper.save_interrupted().string()));
  } catch (const Diverged& error) {
    const auto kept = keeper.save_last_finite();
    throw Error(
        fmt::format("{}; {}", error.what(),
                    kept.value_or("no weights since the start are known to be finite, nothing is written")));
  } catch (const Error& error) {
    const auto kept = keeper.save_last_finite();
    if (!kept) throw;
    throw Error(fmt::format("{}; {}", error.what(), *kept), error.remedy());
  }
}

}  // namespace convoy
