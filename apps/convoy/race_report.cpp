#include "apps/convoy/race_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apps/convoy/statistics.h"

namespace convoy {
namespace {

Json members_of(const RaceRun& run) {
  return {{"seed", run.seed},
          {"cold", run.cold},
          {"reached", run.reached},
          {"accuracy", run.accuracy},
          {"start_seconds", run.start_seconds},
          {"training_seconds", run.training_seconds},
          {"images", run.images}};
}

/// A figure of those that reached the accuracy.
std::vector<double> figures(const std::vector<RaceRun>& runs, double (*figure)(const RaceRun&)) {
  std::vector<double> values;
  for (const RaceRun& run : runs) {
    if (run.reached) values.push_back(figure(run));
  }
  return values;
}

struct Row {
  const char* key;
  const char* title;
  double (*figure)(const RaceRun&);
  int digits;
};
constexpr Row kRows[] = {
    {"start_seconds", "from the start, s", [](const RaceRun& run) { return run.start_seconds; }, 2},
    {"training_seconds", "training alone, s", [](const RaceRun& run) { return run.training_seconds; }, 2},
    {"images", "images seen", [](const RaceRun& run) { return static_cast<double>(run.images); }, 0}};

}  // namespace

void tell_run(const RaceRun& run, bool json) {
  if (json) {
    Json event = {{"event", "race_run"}};
    event.update(members_of(run));
    return emit(event);
  }
  put(fmt::format("seed {}{}  {} {:.2f} %, {:.2f} s from the start, {:.2f} s of training, {} images\n",
                  run.seed, run.cold ? ", cold" : "", run.reached ? "reached" : "not reached, ended with",
                  100.0 * run.accuracy, run.start_seconds, run.training_seconds, run.images));
  std::fflush(stdout);
}

void tell_race(double to, const RaceRun& cold, const std::vector<RaceRun>& runs,
               const std::vector<std::string>& command, bool json) {
  const auto reached = std::ranges::count_if(runs, &RaceRun::reached);
  if (json) {
    Json event = {
        {"event", "race"},         {"to", to},
        {"command", command},      {"seeds", runs.size()},
        {"reached", reached},      {"share", static_cast<double>(reached) / static_cast<double>(runs.size())},
        {"cold", members_of(cold)}};
    for (const Row& row : kRows) {
      const std::vector<double> values = figures(runs, row.figure);
      event[row.key] = values.empty() ? Json() : to_json(mean_of(values));
      if (!values.empty()) event[row.key]["median"] = median_of(values);
    }
    return emit(event);
  }
  put(fmt::format("\n{}\n", bold(fmt::format("{} of {} seeds reached {} %", reached, runs.size(), to))));
  if (reached > 0) {
    Table table({"of those", "median", "mean"});
    for (const Row& row : kRows) {
      const std::vector<double> values = figures(runs, row.figure);
      table.add({row.title, fmt::format("{:.{}f}", median_of(values), row.digits),
                 in_words(mean_of(values), row.digits)});
    }
    put(table.str());
    if (reached > 1) {
      put(fmt::format("+- is the 95 % interval of the mean: Student's t with {} degree{} of freedom\n",
                      reached - 1, reached == 2 ? "" : "s"));
    }
  }
  put(fmt::format("Cold start, without a plan in the cache: {}{:.2f} s\n",
                  cold.reached ? "" : "not reached in ", cold.start_seconds));
}

}  // namespace convoy
