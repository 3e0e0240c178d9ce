#include "apps/convoy/seeds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "apps/convoy/baton.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/remedy.h"
#include "apps/convoy/resume.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/seed_report.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/training.h"
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

/// Whether the flags of a run.json are these, in whatever order.
bool same_flags(const Json& record, const Json& given) {
  const auto sorted = [](const Json& json) { return nlohmann::json::parse(json.dump()); };
  return record.contains("flags") && sorted(record["flags"]) == sorted(given);
}

/// What the folder of one seed already holds.
void look_into_folder(Planned& planned) {
  const fs::path& folder = planned.flags.out;
  std::error_code ignored;
  if (planned.flags.overwrite || !fs::is_directory(folder, ignored)) return;
  const RunFolder mended(folder);
  if (!fs::exists(folder / "run.json", ignored)) return;
  Json record = record_to_resume(folder);
  if (!same_flags(record, planned.kept.given)) {
    throw UsageError(fmt::format(
        "{} holds a training with other flags; name another folder with --out, or replace what is "
        "there with --overwrite",
        folder.string()));
  }
  if (record.contains("results") && fs::exists(checkpoint_of(folder), ignored)) {
    planned.finished = record["results"];
  } else {
    planned.resumed = std::move(record);
  }
}

std::vector<Planned> plan(const SeedTrainings& trainings) {
  std::vector<Planned> all;
  for (const std::uint64_t seed : trainings.flags.seeds.seeds) {
    Planned planned{.flags = trainings.flags, .kept = {}, .resumed = {}, .finished = {}};
    planned.flags.options.seed = seed;
    planned.kept = kept_flags(trainings.command, planned.flags, trainings.data);
    planned.flags.out = trainings.flags.out.empty()
                            ? folder_of(planned.flags, trainings.data.location.dataset)
                            : trainings.flags.out / std::to_string(seed);
    look_into_folder(planned);
    all.push_back(std::move(planned));
  }
  return all;
}

/// All seeds, and the threads that train them. What is not const belongs to the thread with the baton.
class Seeds {
 public:
  Seeds(const SeedTrainings& trainings, std::vector<Planned> plans, std::int64_t at_once, SeedScreen& screen)
      : trainings_(trainings),
        plans_(std::move(plans)),
        at_once_(static_cast<std::size_t>(at_once)),
        baton_(at_once_),
        screen_(screen) {}

  /// With as many threads as train at once; the caller's is the first.
  void run() {
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < at_once_; ++i) threads.emplace_back([this, i] { work(i); });
    work(0);
    for (std::thread& thread : threads) thread.join();
    if (usage_error_) std::rethrow_exception(usage_error_);
    throw_if_interrupted();
  }

  const std::vector<SeedOutcome>& outcomes() const { return outcomes_; }

 private:
  void work(std::size_t number) {
    baton_.take(number);
    while (next_ < plans_.size() && !usage_error_ && !InterruptGuard::interrupted()) train(plans_[next_++]);
    baton_.give();
  }

  void train(const Planned& planned) {
    SeedOutcome outcome{
        .seed = planned.flags.options.seed, .folder = planned.flags.out, .results = {}, .failure = {}};
    try {
      outcome.earlier = planned.finished.has_value();
      outcome.results = outcome.earlier ? *planned.finished : results_of(planned);
    } catch (const Interrupted& interrupted) {
      say_note(fmt::format("seed {}: {}", outcome.seed, interrupted.what()));
      saved_.push_back(outcome.seed);
      return;
    } catch (const UsageError&) {  // of flags that all have in common
      if (!usage_error_) usage_error_ = std::current_exception();
      return;
    } catch (const Error& error) {
      outcome.failure = with_remedy(error);
    } catch (const std::exception& error) {
      outcome.failure = error.what();
    }
    screen_.finished(outcome);
    outcomes_.push_back(std::move(outcome));
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
      if (at_once_ > 1) baton_.pass();
    };
    return run_training({planned.flags, planned.kept, trainings_.data, device, resumed, start, pass}, folder,
                        screen_.report_of(planned.flags.options.seed));
  }

  void throw_if_interrupted() {
    if (!InterruptGuard::interrupted() || (saved_.empty() && next_ == plans_.size())) return;
    std::vector<std::uint64_t> left;
    for (std::size_t i = next_; i < plans_.size(); ++i) left.push_back(plans_[i].flags.options.seed);
    std::ranges::sort(saved_);
    const std::string not_begun = left.empty() ? "" : fmt::format(", {} not begun", in_words(left));
    throw Interrupted(fmt::format("{}: of the seeds {} saved{}; the same command goes on with all of them",
                                  InterruptGuard::in_words(),
                                  saved_.empty() ? "none had to be" : in_words(saved_) + " are", not_begun),
                      InterruptGuard::signal());
  }

  const SeedTrainings& trainings_;
  const std::vector<Planned> plans_;
  const std::size_t at_once_;
  Baton baton_;
  SeedScreen& screen_;
  std::size_t next_ = 0;
  std::vector<SeedOutcome> outcomes_;
  std::vector<std::uint64_t> saved_;
  std::exception_ptr usage_error_;
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
  const std::int64_t together =
      at_once(trainings, make_backend(trainings.flags.device, trainings.group).backend->name());
  SeedScreen screen(
      trainings.flags.json, trainings.flags.seeds.seeds.size(),
      fmt::format("{}, {}", in_words(trainings.flags.seeds.seeds),
                  together > 1 ? fmt::format("{} at a time", together) : "one after the other"));
  Seeds seeds(trainings, plan(trainings), together, screen);
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
