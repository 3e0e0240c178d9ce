// Keeps what a training has reached, against whatever may end it before it is done.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "apps/convoy/run_folder.h"
#include "apps/convoy/terminal.h"
#include "convoy/trainer.h"

namespace convoy {

/// When states are written, beside TrainOptions::save_every, and how many stay.
struct SaveOptions {
  std::int64_t epochs = 1;  // every so many; 0: not by epochs
  std::int64_t steps = 0;   // every so many, as TrainOptions::save_every; 0: not by steps
  bool asked_for = false;   // by a flag: then each is written, however long the disk takes
  std::size_t keep = 2;     // the newest; 0: all
};

/// Takes the states of one training and writes them to its folder, behind the training: a thread waits for
/// the device's copy, looks for NaN, and writes the file. Only finite states are kept.
class StateKeeper {
 public:
  /// `notes` is called when a state is taken, and goes into its file. All must outlive this.
  StateKeeper(const RunFolder& folder, const Trainer& trainer, const TrainOptions& training,
              const SaveOptions& options, std::function<std::string()> notes);
  ~StateKeeper();
  StateKeeper(const StateKeeper&) = delete;  // its thread knows where it is
  StateKeeper& operator=(const StateKeeper&) = delete;

  /// Before the first step: has the device allocate the room for copies.
  void prepare();

  /// Behind a line whose loss was finite: keeps the state in memory. Of more than ten lines it is each tenth,
  /// so that a GPU is not kept busy with that, and none while an earlier one is still being worked on.
  void after_step();

  /// Behind an epoch: writes the state if it is due. If that was not asked for by a flag, it is left out
  /// while an earlier one is still being written, but not behind the last epoch. Where the training has
  /// `ended` before that it is written in any case, if any is: what goes on from it has nothing left to do.
  void after_epoch(const Progress& at, bool ended = false);

  /// Behind as many steps as the options say: writes the state.
  void after_steps();

  /// Writes the state of now, waits for it, and returns its file. If that is not finite it is the last one
  /// that was. Throws Error.
  std::filesystem::path save_now();

  /// Writes the last finite state that was seen, and returns its file; nothing if no step's was. Throws
  /// Error.
  std::optional<std::filesystem::path> save_last_finite();

  /// Waits for what is being written, and tells what failed.
  void finish();

 private:
  /// A state that is on its way.
  struct Taken {
    std::function<TrainingSnapshot()> wait;
    std::string notes;
    bool write = false;
  };
  struct Kept {
    TrainingSnapshot snapshot;
    std::string notes;
    bool written = false;
  };

  void take(bool write);
  void work();
  void keep(Taken taken);
  std::filesystem::path write(Kept& kept);
  void wait_until_idle();
  bool is_busy(bool with_writing_alone = false);
  void tell_failure();

  const RunFolder& folder_;
  const Trainer& trainer_;
  const TrainOptions& training_;
  SaveOptions options_;
  std::function<std::string()> notes_;
  std::int64_t lines_ = 0;
  std::string told_;

  std::mutex mutex_;  // of what follows, up to the thread
  std::condition_variable changed_;
  std::optional<Taken> next_;
  enum class Work { none, keeping, writing } work_ = Work::none;
  bool ending_ = false;
  std::string failure_;
  std::optional<Kept> kept_;  // the thread's while it works
  std::thread thread_;
};

/// Whether every value is a finite float.
bool is_finite(const StateDict& state);

/// The bytes that a training's files take: the model, and so many states, each of so many sets of weights
/// (the weights, the optimizer's, their average).
std::uint64_t bytes_of_run(const Model& model, std::uint64_t sets_of_weights, std::uint64_t states);

}  // namespace convoy
