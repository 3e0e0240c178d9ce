// Keeps what a training has reached, against whatever may end it before it is done.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "apps/convoy/run_folder.h"
#include "convoy/trainer.h"

namespace convoy {

/// Allows something only while it takes at most a given share of the time that passes. The first time is
/// free.
class Ration {
 public:
  explicit Ration(double share) : share_(share) {}

  template <typename Work>
  void spend(Work work) {
    const auto begin = Clock::now();
    if (begin < next_) return;
    work();
    const auto end = Clock::now();
    next_ = end + std::chrono::duration_cast<Clock::duration>((end - begin) / share_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  double share_;
  Clock::time_point next_{};
};

/// The states of one training, and the subfolders of its folder that they are written to: each with
/// model.ckpt, model.json and run.json.
class StateKeeper {
 public:
  /// `record` is run.json as it is before there are results. All must outlive this.
  StateKeeper(const RunFolder& folder, const Model& model, const Trainer& trainer, const Json& record);

  /// Behind a line whose loss was finite: keeps the state in memory, unless it holds a NaN or infinity. Of
  /// more than ten lines it is each tenth, so that a GPU is not kept waiting.
  void after_step(const Progress& at);

  /// Behind an epoch: writes the state to `last-epoch`, unless it holds a NaN or infinity, or writing would
  /// take more than a twentieth of the time. A failure is told once, and is no reason to end the training.
  void after_epoch(const Progress& at);

  /// Writes the state that the trainer has now to `interrupted`, and returns the checkpoint. Throws Error.
  std::filesystem::path save_interrupted() const;

  /// Writes the last finite state to `last-finite`, and says where it is and of when: "the weights after step
  /// 200 of epoch 1, the last known to be finite, are in r/last-finite/model.ckpt". Nothing if none was kept.
  /// Throws Error.
  std::optional<std::string> save_last_finite() const;

 private:
  struct Kept {
    StateDict state;
    Progress at;
  };

  bool keep(const Progress& at);
  std::filesystem::path write(const char* name, const StateDict& state, Json marks) const;

  const RunFolder& folder_;
  const Model& model_;
  const Trainer& trainer_;
  const Json& record_;
  std::optional<Kept> kept_;
  std::int64_t lines_ = 0;
  Ration disk_{0.05};
  bool told_ = false;
};

/// Whether every value is a finite float.
bool is_finite(const StateDict& state);

/// The bytes that the files of a training may take on the disk at one time: the model, that of the last
/// epoch, and one that is being written.
std::uint64_t bytes_of_run(const Model& model);

}  // namespace convoy
