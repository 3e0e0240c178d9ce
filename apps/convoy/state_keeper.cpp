#include "apps/convoy/state_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/convoy/state_files.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/core/atomic_file.h"

namespace convoy {
namespace {

bool is_finite(const TrainingSnapshot& snapshot) {
  return is_finite(snapshot.model) && is_finite(snapshot.optimizer) && is_finite(snapshot.average) &&
         is_finite(snapshot.ema) && std::isfinite(snapshot.metrics.loss_sum);
}

}  // namespace

StateKeeper::StateKeeper(const RunFolder& folder, const Trainer& trainer, const TrainOptions& training,
                         const SaveOptions& options, std::function<std::string()> notes)
    : folder_(folder),
      trainer_(trainer),
      training_(training),
      options_(options),
      notes_(std::move(notes)),
      thread_([this] { work(); }) {}

StateKeeper::~StateKeeper() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StateKeeper::prepare() { static_cast<void>(trainer_.begin_snapshot()); }

void StateKeeper::after_step() {
  constexpr std::int64_t kEach = 10;
  ++lines_;
  if ((lines_ <= kEach || lines_ % kEach == 0) && !is_busy()) take(/*write=*/false);
}

void StateKeeper::after_epoch(const Progress& at, bool ended) {
  tell_failure();
  const bool due = options_.epochs > 0 && at.epoch % options_.epochs == 0;
  const bool saves = options_.epochs > 0 || options_.steps > 0;
  if (!due && !(ended && saves)) return;
  if (options_.asked_for || at.epoch == at.epochs || ended || !is_busy(/*with_writing_alone=*/true))
    take(/*write=*/true);
}

void StateKeeper::after_steps() {
  tell_failure();
  take(/*write=*/true);
}

std::filesystem::path StateKeeper::save_now() {
  wait_until_idle();
  std::function<TrainingSnapshot()> now = trainer_.begin_snapshot();
  keep({std::move(now), notes_(), false});
  const auto file = save_last_finite();
  if (!file) throw Error("nothing can be saved: no state since the start is known to be finite");
  return *file;
}

std::optional<std::filesystem::path> StateKeeper::save_last_finite() {
  wait_until_idle();
  if (!kept_) return std::nullopt;
  return write(*kept_);
}

void StateKeeper::finish() {
  wait_until_idle();
  tell_failure();
}

// What is taken has to be read before the next is: there is room for one copy.
void StateKeeper::take(bool write) {
  wait_until_idle();
  Taken taken{trainer_.begin_snapshot(), notes_(), write};
  {
    const std::lock_guard lock(mutex_);
    next_ = std::move(taken);
  }
  changed_.notify_all();
}

void StateKeeper::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return next_ || ending_; });
    if (!next_) return;
    Taken taken = std::move(*next_);
    const bool writes = taken.write;
    next_.reset();
    work_ = taken.write ? Work::writing : Work::keeping;
    lock.unlock();
    std::string failure;
    try {
      keep(std::move(taken));
    } catch (const std::exception& error) {
      failure = error.what();
    }
    lock.lock();
    if (writes || !failure.empty())
      failure_ = failure;  // told behind the next epoch, whatever is kept in memory until then
    work_ = Work::none;
    changed_.notify_all();
  }
}

void StateKeeper::keep(Taken taken) {
  TrainingSnapshot snapshot = taken.wait();
  taken.wait = nullptr;  // the room is free for the next copy
  if (!is_finite(snapshot)) {
    if (taken.write) throw Error("it holds a NaN or infinity");
    return;
  }
  kept_ = {std::move(snapshot), std::move(taken.notes)};
  if (taken.write) write(*kept_);
}

std::filesystem::path StateKeeper::write(Kept& kept) {
  const std::filesystem::path file = state_file(folder_.path(), kept.snapshot.counter);
  if (kept.written) return file;
  make_folder(file.parent_path());
  save_training(kept.snapshot, training_.optimizer, kept.notes, file, training_.muon);
  kept.written = true;
  if (options_.keep > 0) remove_old_states(folder_.path(), options_.keep);
  return file;
}

void StateKeeper::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !next_ && work_ == Work::none; });
}

bool StateKeeper::is_busy(bool with_writing_alone) {
  const std::lock_guard lock(mutex_);
  if (with_writing_alone) return (next_ && next_->write) || work_ == Work::writing;
  return next_ || work_ != Work::none;
}

void StateKeeper::tell_failure() {
  const std::lock_guard lock(mutex_);
  if (failure_.empty() || failure_ == told_) return;
  say_note(fmt::format("a state of the training is not kept: {}; those before it are", failure_));
  told_ = failure_;
}

bool is_finite(const StateDict& state) {
  return std::ranges::all_of(state, [](const auto& entry) {
    return std::ranges::all_of(entry.second.values,
                               [](double value) { return std::isfinite(static_cast<float>(value)); });
  });
}

std::uint64_t bytes_of_run(const Model& model, std::uint64_t sets_of_weights, std::uint64_t states) {
  constexpr std::uint64_t kPerTensor = 512,
                          kFiles = 1 << 16;  // headers of the archive, pickle; the JSON files
  std::uint64_t bytes = kFiles;
  for (const TensorSpec& spec : tensor_specs(model)) {
    bytes +=
        kPerTensor + static_cast<std::uint64_t>(spec.shape.count()) * (spec.dtype == DType::int64 ? 8 : 4);
  }
  return bytes * (1 + sets_of_weights * states);
}

}  // namespace convoy
