// convoy race: from the start of a process to an accuracy.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "apps/convoy/child_process.h"
#include "apps/convoy/commands.h"
#include "apps/convoy/early_end.h"
#include "apps/convoy/failure.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/json_values.h"
#include "apps/convoy/race_report.h"
#include "apps/convoy/scratch_folder.h"
#include "apps/convoy/seed_flags.h"
#include "convoy/error.h"
#include "engine/core/file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct RaceFlags {
  double to = 0.0;
  std::vector<std::uint64_t> seeds = {1, 2, 3, 4, 5};
  fs::path out;
  bool json = false;
};

// They are the race's own, or leave nothing to measure.
constexpr auto kRefused =
    std::to_array<const char*>({"--seed", "--stop-at", "--resume", "--overwrite", "--profile", "--summary",
                                "--plan-cache", "--print-config", "--seeds-at-once", "--help"});

void refuse_flags(const std::vector<std::string>& flags) {
  for (const std::string& flag : flags) {
    for (const char* refused : kRefused) {
      if (flag.substr(0, flag.find('=')) == refused) {
        throw UsageError(
            fmt::format("convoy race has no {}: each seed is a 'convoy train' of its own, to the end "
                        "or to the accuracy of --to",
                        refused));
      }
    }
  }
}

std::string text_of(const fs::path& file) {
  constexpr std::int64_t kMost = 1 << 20;
  return InputFile(file).read_text(kMost);
}

/// The last line that a process has left.
std::string complaint_in(const fs::path& errors) {
  std::string text = text_of(errors);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  text.erase(0, text.find_last_of('\n') + 1);
  constexpr std::string_view kPrefix = "convoy: error: ";
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  return text.empty() ? "it said nothing" : text;
}

void check_end(int code, std::uint64_t seed, const fs::path& errors) {
  if (InterruptGuard::interrupted()) {
    throw Interrupted(fmt::format("{} in the race of seed {}", InterruptGuard::in_words(), seed),
                      InterruptGuard::signal());
  }
  if (code == kDone) return;
  const std::string complaint = complaint_in(errors);
  if (code == kUsage) throw UsageError(complaint);
  throw Error(fmt::format("the process of seed {} ended with {}: {}", seed, code, complaint));
}

class Race {
 public:
  Race(const RaceFlags& flags, std::vector<std::string> of_train)
      : flags_(flags), of_train_(std::move(of_train)) {}

  int run() {
    std::error_code none;  // there is no such folder
    if (!flags_.out.empty() && fs::exists(flags_.out, none) && !fs::is_empty(flags_.out, none)) {
      throw UsageError(fmt::format("{} is not empty: name another folder with --out", flags_.out.string()));
    }
    const InterruptGuard guard;
    const RaceRun cold = run_seed(flags_.seeds.front(), /*cold=*/true);
    std::vector<RaceRun> runs;
    for (const std::uint64_t seed : flags_.seeds) runs.push_back(run_seed(seed, /*cold=*/false));
    tell_race(flags_.to, cold, runs, of_train_, flags_.json);
    return kDone;
  }

 private:
  RaceRun run_seed(std::uint64_t seed, bool cold) {
    const std::string name = cold ? "cold" : std::to_string(seed);
    const fs::path folder = (flags_.out.empty() ? scratch_.path() : flags_.out) / name;
    RaceRun run{.seed = seed, .cold = cold};
    Child child{.arguments = {"train"},
                .variables = {"CONVOY_CACHE=" + (scratch_.path() / "plans").string()},
                .errors = scratch_.path() / "errors",
                .event = {}};
    child.arguments.insert(child.arguments.end(), of_train_.begin(), of_train_.end());
    for (const std::string& word :
         {std::string("--seed"), std::to_string(seed), std::string("--stop-at"), fmt::format("{}", flags_.to),
          std::string("--out"), folder.string(), std::string("--json")}) {
      child.arguments.push_back(word);
    }
    const auto start = std::chrono::steady_clock::now();
    child.event = [&](const Json& event) {
      take(run, event, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    };
    const int code = run_child(child);
    check_end(code, seed, child.errors);
    if (cold) std::fputs(text_of(child.errors).c_str(), stderr);  // its notes, once
    if (flags_.out.empty()) fs::remove_all(folder);
    tell_run(run, flags_.json);
    return run;
  }

  /// An event of the training, so many seconds after the start of its process.
  void take(RaceRun& run, const Json& event, double seconds) const {
    const std::string kind = event.value("event", "");
    if (kind == "test" || kind == "eval") {
      if (run.reached) return;
      run.accuracy = number_in(event, "accuracy").value_or(0.0);
      run.start_seconds = seconds;
      run.training_seconds = number_in(event, "training_seconds").value_or(0.0);
      run.reached = reaches(run.accuracy, flags_.to);
    } else if (kind == "done") {
      run.images = static_cast<std::int64_t>(number_in(event, "images").value_or(0.0));
      // The test at the end does not tell it.
      if (run.training_seconds == 0.0)
        run.training_seconds = number_in(event, "training_seconds").value_or(0.0);
    }
  }

  const RaceFlags& flags_;
  std::vector<std::string> of_train_;
  ScratchFolder scratch_;
};

}  // namespace

Command add_race(CLI::App& program) {
  const auto flags = std::make_shared<RaceFlags>();
  CLI::App& command =
      *program.add_subcommand("race", "Measure the time from the start of a training to a test accuracy");
  command.add_option("--to", flags->to, "The test accuracy")
      ->option_text("PERCENT")
      ->required()
      ->check(percent());
  add_seeds_flag(command, flags->seeds, "A process for each of these seeds (1-8 or 1,5,9); without it 1-5");
  command.add_option("--out", flags->out, "Keep the runs in FOLDER/SEED; without it they are removed")
      ->option_text("FOLDER")
      ->check(not_empty());
  add_json_flag(command, flags->json);
  command.allow_extras();
  set_footer(
      command,
      "  convoy race --to 99\n"
      "  convoy race --to 99 --seeds 1-10 --epochs 3 --lr 0.002 --test-every 100\n\n"
      "All other flags are those of convoy train, whose processes end as by --stop-at. The first of them "
      "has\n"
      "no plans in its cache, and is told apart. Seconds are counted in two ways: from the start of the\n"
      "process, all that it does included, and of the training alone, without start, tests and validation.\n"
      "The second is how records are told: airbench and its successors for CIFAR-10 time the training's\n"
      "epochs without loading, compiling and the evaluation behind each epoch (but with the evaluation by\n"
      "test-time augmentation at the very end), and state the mean accuracy of many runs; train_mnist_fast\n"
      "for MNIST ends behind the epoch that reaches 99 %. A test counts when it is done, so --test-every "
      "makes\n"
      "the first kind longer and the second shorter.\n");
  return {&command, [&command, flags] {
            const std::vector<std::string> of_train = command.remaining();
            refuse_flags(of_train);
            return Race(*flags, of_train).run();
          }};
}

}  // namespace convoy
