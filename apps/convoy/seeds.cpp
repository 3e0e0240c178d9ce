#include "apps/convoy/seeds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

#include "apps/convoy/baton.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/recorded_flags.h"
#include "apps/convoy/remedy.h"
#include "apps/convoy/resume.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/seed_report.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/training.h"
#include "apps/convoy/write_target.h"
#include "convoy/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// One of the trainings, before it begins.
struct Planned {
  TrainFlags flags;              // its own
  KeptFlags kept;                // likewise
  std::optional<Json> resumed;   // the run.json to go on with
  std::optional<Json> finished;  // its results, if there is nothing left to do
};

/// Throws UsageError unless the training of a folder is the one that is planned.
void check_same_training(const SeedTrainings& trainings, const Planned& planned, const Json& before,
                         const Json& now) {
  const fs::path& folder = planned.flags.out;
  const std::vector<std::string> differences =
      differences_of_flags(trainings.command, before["flags"], planned.kept.given, folder.string());
  if (!differences.empty()) {
    throw UsageError(
        fmt::format("{0} holds a training with other flags: {1}; name another folder with --out, go on with "
                    "that one by --resume {0}, or replace what is there with --overwrite",
                    folder.string(), fmt::join(differences, "; ")));
  }
  check_same_data(folder, before, now);
}

/// What the folder of one seed already holds. Throws UsageError if that cannot be gone on with, now and not
/// hours later.
void look_into_folder(const SeedTrainings& trainings, const BackendChoice& device, Planned& planned) {
  const fs::path& folder = planned.flags.out;
  std::error_code ignored;
  if (planned.flags.overwrite || !fs::is_directory(folder, ignored)) return;
  const RunFolder mended(folder);
  const std::optional<Resumed> anew;
  const Json now = record_of({planned.flags, planned.kept, trainings.data, device, anew, {}});
  if (!fs::exists(folder / "run.json", ignored)) return refuse_to_lose(planned.flags, folder, now);
  Json record = record_to_resume(folder);
  check_same_training(trainings, planned, record, now);
  if (!record.contains("results") || !fs::exists(checkpoint_of(folder), ignored)) {
    planned.resumed = std::move(record);
    return;
  }
  planned.finished = record["results"];
  if (!same_computer(record, now)) {
    say_note(
        fmt::format("{} was computed by another device or build, and counts all the same: its bits may "
                    "differ from those of a training here",
                    folder.string()));
  }
}

std::vector<Planned> plan(const SeedTrainings& trainings, const BackendChoice& device) {
  std::vector<Planned> all;
  for (const std::uint64_t seed : trainings.flags.seeds.seeds) {
    Planned planned{.flags = trainings.flags, .kept = {}, .resumed = {}, .finished = {}};
    planned.flags.options.seed = seed;
    planned.kept = kept_flags(trainings.command, planned.flags, trainings.data);
    planned.flags.out = trainings.flags.out.empty()
                            ? folder_of(planned.flags, trainings.data.location.dataset)
                            : trainings.flags.out / std::to_string(seed);
    look_into_folder(trainings, device, planned);
    all.push_back(std::move(planned));
  }
  return all;
}

/// A thread's turns with the baton.
class Turns {
 public:
  Turns(Baton& baton, std::uint64_t number) : baton_(baton) { baton_.take(number); }
  ~Turns() { baton_.give(); }
  Turns(const Turns&) = delete;  // of one thread
  Turns& operator=(const Turns&) = delete;

 private:
  Baton& baton_;
};

/// All seeds, and the threads that train them. What is not const belongs to the thread with the baton.
class Seeds {
 public:
  Seeds(const SeedTrainings& trainings, std::vector<Planned> plans, std::int64_t at_once, SeedScreen& screen)
      : trainings_(trainings),
        plans_(std::move(plans)),
        at_once_(static_cast<std::size_t>(at_once)),
        screen_(screen) {}

  /// With as many threads as train at once; the caller's is the first.
  void run() {
    {
      std::vector<std::jthread> threads;  // joined at the end
      try {
        for (std::size_t i = 1; i < at_once_; ++i) threads.emplace_back([this, i] { work(i); });
      } catch (const std::system_error& error) {
        say_note(fmt::format("only {} seeds train at once: another thread cannot be made: {}",
                             threads.size() + 1, error.code().message()));
      }
      baton_.expect(threads.size() + 1);
      work(0);
    }
    if (error_) std::rethrow_exception(error_);
    throw_if_interrupted();
  }

  const std::vector<SeedOutcome>& outcomes() const { return outcomes_; }

 private:
  void work(std::size_t number) {
    const Turns turns(baton_, number);
    try {
      while (next_ < plans_.size() && !error_ && !InterruptGuard::interrupted()) train(plans_[next_++]);
    } catch (...) {
      if (!error_) error_ = std::current_exception();
    }
  }

  void train(const Planned& planned) {
    SeedOutcome outcome{
        .seed = planned.flags.options.seed, .folder = planned.flags.out, .results = {}, .failure = {}};
    try {
      outcome.earlier = planned.finished.has_value();
      outcome.results = outcome.earlier ? *planned.finished : results_of(planned);
    } catch (const Interrupted& interrupted) {
      say_note(fmt::format("seed {}: {}", outcome.seed, interrupted.what()));
      (interrupted.saved() ? saved_ : lost_).push_back(outcome.seed);
      return;
    } catch (const UsageError& error) {
      if (!started_) throw;  // of flags that all have in common
      outcome.failure = error.what();
    } catch (const Error& error) {
      outcome.failure = in_words(error);
    } catch (const std::exception& error) {
      outcome.failure = error.what();
    }
    screen_.finished(outcome);
    outcomes_.push_back(std::move(outcome));
  }

  /// Several seeds share the memory: their batches need not be smaller.
  std::string in_words(const Error& error) const {
    if (at_once_ > 1 && error.remedy() == Remedy::smaller_batch) {
      return fmt::format("{}; try a smaller --seeds-at-once than {}", error.what(), at_once_);
    }
    return with_remedy(error);
  }

  Json results_of(const Planned& planned) {
    const auto start = std::chrono::steady_clock::now();
    std::optional<RunFolder> folder;
    std::optional<Resumed> resumed;
    if (planned.resumed) {
      folder.emplace(planned.flags.out);
      resumed = read_folder(planned.flags.out, *planned.resumed);
    }
    const BackendChoice device = make_backend(planned.flags.device, trainings_.group);
    const auto pass = [this] {
      started_ = true;
      if (at_once_ > 1) baton_.pass();
    };
    return run_training({planned.flags, planned.kept, trainings_.data, device, resumed, start, pass}, folder,
                        screen_.report_of(planned.flags.options.seed));
  }

  void throw_if_interrupted() {
    const bool all_done = saved_.empty() && lost_.empty() && next_ == plans_.size();
    if (!InterruptGuard::interrupted() || all_done) return;
    std::vector<std::uint64_t> left;
    for (std::size_t i = next_; i < plans_.size(); ++i) left.push_back(plans_[i].flags.options.seed);
    std::ranges::sort(saved_);
    std::ranges::sort(lost_);
    const auto with_words = [](const std::vector<std::uint64_t>& seeds, const char* words) {
      return seeds.empty() ? "" : fmt::format(", {} {}", convoy::in_words(seeds), words);
    };
    throw Interrupted(
        fmt::format("{}: of the seeds {} saved{}{}; {}", InterruptGuard::in_words(),
                    saved_.empty() ? "none had to be" : convoy::in_words(saved_) + " are",
                    with_words(lost_, "not"), with_words(left, "not begun"), how_to_go_on(left)),
        InterruptGuard::signal());
  }

  /// --overwrite would put aside what has just been trained.
  std::string how_to_go_on(const std::vector<std::uint64_t>& left) const {
    if (!trainings_.flags.overwrite) return "the same command goes on with all of them";
    std::vector<std::uint64_t> begun;
    for (std::size_t i = 0; i < next_; ++i) begun.push_back(plans_[i].flags.options.seed);
    const auto is_there = [](const Planned& planned) {
      std::error_code ignored;
      return fs::exists(planned.flags.out, ignored);
    };
    if (begun.empty()) return "the same command begins them";
    if (std::none_of(plans_.begin() + static_cast<std::ptrdiff_t>(next_), plans_.end(), is_there)) {
      return "the same command without --overwrite goes on with all of them";
    }
    return fmt::format("go on with --seeds {} without --overwrite, then begin --seeds {} with it",
                       fmt::join(begun, ","), fmt::join(left, ","));
  }

  const SeedTrainings& trainings_;
  const std::vector<Planned> plans_;
  const std::size_t at_once_;
  Baton baton_;
  SeedScreen& screen_;
  std::size_t next_ = 0;
  std::vector<SeedOutcome> outcomes_;
  std::vector<std::uint64_t> saved_, lost_;  // of those that a signal stopped
  bool started_ = false;                     // some training has taken a step
  std::exception_ptr error_;                 // which ends all
};

/// How many are trained at once. Throws UsageError for more than one where there is no GPU.
std::int64_t at_once(const SeedTrainings& trainings, const std::string& device) {
  const SeedFlags& seeds = trainings.flags.seeds;
  if (device == "cuda") {
    return std::min(seeds.at_once > 0 ? seeds.at_once : kSeedsAtOnce, std::ssize(seeds.seeds));
  }
  if (seeds.at_once > 1) {
    throw UsageError(fmt::format("--seeds-at-once {} needs a GPU: the {} backend trains one after the other",
                                 seeds.at_once, device));
  }
  return 1;
}

}  // namespace

void train_seeds(const SeedTrainings& trainings) {
  const auto start = std::chrono::steady_clock::now();
  const InterruptGuard guard;
  std::int64_t together = 1;
  std::vector<Planned> plans;
  {
    const BackendChoice device = make_backend(trainings.flags.device, trainings.group);
    together = at_once(trainings, device.backend->name());
    plans = plan(trainings, device);
  }
  SeedScreen screen(
      trainings.flags.json, trainings.flags.seeds.seeds.size(), together > 1,
      fmt::format("{}, {}", in_words(trainings.flags.seeds.seeds),
                  together > 1 ? fmt::format("{} at a time", together) : "one after the other"));
  Seeds seeds(trainings, std::move(plans), together, screen);
  seeds.run();
  std::vector<SeedOutcome> outcomes = seeds.outcomes();
  const std::vector<std::uint64_t>& order = trainings.flags.seeds.seeds;
  std::ranges::sort(outcomes, {},
                    [&](const SeedOutcome& outcome) { return std::ranges::find(order, outcome.seed); });
  screen.all(outcomes, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  std::vector<std::string> failures;
  for (const SeedOutcome& outcome : outcomes) {
    if (!outcome.failure.empty())
      failures.push_back(fmt::format("seed {}: {}", outcome.seed, outcome.failure));
  }
  if (!failures.empty()) {
    throw Error(fmt::format("{} of {} seeds failed: {}", failures.size(), outcomes.size(),
                            fmt::join(failures, "; ")));
  }
}

}  // namespace convoy
