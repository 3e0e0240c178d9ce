#include "apps/convoy/report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "apps/convoy/json_values.h"
#include "apps/convoy/report/html.h"
#include "apps/convoy/report/report.h"
#include "apps/convoy/report/style.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/run_record.h"
#include "apps/convoy/terminal.h"
#include "convoy/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNone = "–";

/// "runs/a/" as "runs/a".
fs::path without_slash(const fs::path& folder) {
  const fs::path normal = folder.lexically_normal();
  return normal.has_filename() || !normal.has_parent_path() ? normal : normal.parent_path();
}

/// All flags with their values, under the names of config.toml. A run of before there were configurations has
/// those that were given.
Json options_of(const Json& record) {
  Json config = object_in(record, "config");
  if (!config.empty()) return config;
  const Json flags = object_in(record, "flags");
  for (const auto& [flag, values] : flags.items()) {
    config[flag.substr(flag.starts_with("--") ? 2 : 0)] = values;
  }
  return config;
}

/// A row of what `value_of` says of each run.
ComparedValue row_of(const std::string& name, const std::vector<ComparedRun>& runs,
                     const std::function<std::string(const ComparedRun&)>& value_of) {
  ComparedValue row{name, {}};
  for (const ComparedRun& run : runs) {
    const std::string value = value_of(run);
    row.values.push_back(value.empty() ? kNone : value);
  }
  return row;
}

bool differs(const ComparedValue& row) {
  return std::ranges::any_of(row.values, [&](const std::string& value) { return value != row.values[0]; });
}

/// Which points of a run a chart shows.
using Curve = std::function<const std::vector<Point>&(const LoggedRun&)>;

std::string chart_of(const std::vector<ComparedRun>& runs, Chart chart, const Curve& curve) {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto number = static_cast<int>(i);
    const std::vector<Point>& points = curve(runs[i].log);
    if (points.empty()) continue;
    chart.series.push_back({.name = runs[i].name,
                            .points = points,
                            .colour = number % kLineColours,
                            .dashed = number / kLineColours % 2 == 1});
  }
  // Single points are in the table of figures.
  const bool moves = std::ranges::any_of(chart.series, [](const Series& s) { return s.points.size() > 1; });
  return moves ? figure_of(chart) : "";
}

std::string charts_of(const std::vector<ComparedRun>& runs) {
  const auto accuracy = [](const char* title) {
    return Chart{.title = title, .x_label = "epoch", .unit = " %", .series = {}, .most = 100.0};
  };
  // Of a single epoch there would be one point.
  const Curve loss = [](const LoggedRun& log) -> const std::vector<Point>& {
    return log.epoch_loss.size() > 1 ? log.epoch_loss : log.step_loss;
  };
  std::string charts = chart_of(
      runs,
      {.title = "Training loss", .x_label = "epoch", .unit = "", .series = {}, .from_zero = true, .most = {}},
      loss);
  charts += chart_of(runs, accuracy("Training accuracy, %"), &LoggedRun::epoch_accuracy);
  charts += chart_of(runs, accuracy("Accuracy on what is held out, %"), &LoggedRun::validation_accuracy);
  charts += chart_of(runs, accuracy("Test accuracy, %"), &LoggedRun::test_accuracy);
  charts += chart_of(
      runs,
      {.title = "Learning rate", .x_label = "epoch", .unit = "", .series = {}, .from_zero = true, .most = {}},
      &LoggedRun::learning_rate);
  return charts.empty() ? "<p>No run has a log with curves.</p>\n"
                        : "<div class=\"charts\">\n" + charts + "</div>\n";
}

std::string table_of(const char* caption, const std::vector<ComparedRun>& runs,
                     const std::vector<ComparedValue>& rows, bool numbers) {
  std::vector<std::string> titles = {""};
  for (const ComparedRun& run : runs) titles.push_back(escaped(run.name));
  std::vector<std::vector<Cell>> cells;
  for (const ComparedValue& row : rows) {
    cells.push_back({{escaped(row.name)}});
    for (const std::string& value : row.values) cells.back().push_back({escaped(value), numbers});
  }
  return table(caption, titles, cells);
}

[[noreturn]] void refuse(const fs::path& folder) {
  throw Error(
      fmt::format("{} is no run's folder: there is no run.json in it that can be read; name folders that "
                  "`convoy train` has written",
                  folder.string()));
}

}  // namespace

std::vector<ComparedRun> read_runs(const std::vector<fs::path>& folders) {
  std::vector<ComparedRun> runs;
  std::vector<fs::path> left_out;
  for (const fs::path& given : folders) {
    const fs::path folder = without_slash(given);
    std::error_code ignored;
    if (fs::is_directory(folder, ignored) && !fs::exists(folder / "run.json", ignored)) {
      left_out.push_back(folder);
      continue;
    }
    Json record = record_in(folder / "run.json");
    if (!record.is_object()) refuse(folder);
    const fs::path log = folder / "log.jsonl";
    runs.push_back({folder, run_name(folder), std::move(record),
                    fs::exists(log, ignored) ? read_log(log) : LoggedRun{}});
  }
  if (runs.size() < 2 && !left_out.empty()) refuse(left_out.front());
  for (const fs::path& folder : left_out) {
    say_note(fmt::format("{} is left out: there is no run.json in it", folder.string()));
  }
  std::set<std::string> names;
  for (const ComparedRun& run : runs) names.insert(run.name);
  if (names.size() < runs.size()) {
    for (ComparedRun& run : runs) run.name = run.folder.string();
  }
  return runs;
}

std::vector<ComparedValue> differing_options(const std::vector<ComparedRun>& runs) {
  std::vector<std::string> keys;
  for (const ComparedRun& run : runs) {
    const Json options = options_of(run.record);
    for (const auto& [key, value] : options.items()) {
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
  }
  std::vector<ComparedValue> rows;
  const auto add = [&](const ComparedValue& row) {
    if (differs(row)) rows.push_back(row);
  };
  for (const std::string& key : keys) {
    add(row_of(key, runs, [&](const ComparedRun& run) {
      const Json options = options_of(run.record);
      const auto found = options.find(key);
      return found == options.end() ? "" : value_in_words(*found);
    }));
  }
  for (const char* key : {"dataset", "model", "device_description"}) {
    add(row_of(key, runs, [&](const ComparedRun& run) { return text_in(run.record, key); }));
  }
  add(row_of("convoy", runs,
             [](const ComparedRun& run) { return text_in(object_in(run.record, "versions"), "convoy"); }));
  return rows;
}

std::vector<ComparedValue> final_figures(const std::vector<ComparedRun>& runs) {
  struct Figure {
    const char* name;
    const char* key;
    double factor;
    int digits;
  };
  constexpr Figure kFigures[] = {{"test accuracy, %", "accuracy", 100.0, 2},
                                 {"test loss", "loss", 1.0, 4},
                                 {"training accuracy, %", "train_accuracy", 100.0, 2},
                                 {"training loss", "train_loss", 1.0, 4},
                                 {"training, s", "training_seconds", 1.0, 2},
                                 {"images a second", "images_per_second", 1.0, 0},
                                 {"images", "images", 1.0, 0}};
  std::vector<ComparedValue> rows;
  for (const Figure& figure : kFigures) {
    rows.push_back(row_of(figure.name, runs, [&](const ComparedRun& run) {
      const auto value = number_in(object_in(run.record, "results"), figure.key);
      return value ? fmt::format("{:.{}f}", figure.factor * *value, figure.digits) : "";
    }));
  }
  rows.push_back(row_of("ended by", runs, [](const ComparedRun& run) {
    const Json results = object_in(run.record, "results");
    return results.empty() ? "not finished" : text_in(results, "ended");
  }));
  return rows;
}

std::string comparison_page(const std::vector<ComparedRun>& runs) {
  const std::vector<ComparedValue> options = differing_options(runs);
  std::string body = fmt::format("<header><h1>{} runs</h1></header>\n", runs.size());
  body += section("figures", "Figures", table_of("What the runs came to", runs, final_figures(runs), true));
  body += section("curves", "Curves", charts_of(runs));
  body += section("options", "Options",
                  options.empty() ? "<p>The runs have the same options, on the same data and device.</p>\n"
                                  : "<div class=\"wrap\">" +
                                        table_of("Where the runs differ", runs, options, false) + "</div>\n");
  return page(fmt::format("{} runs – Convoy", runs.size()), body);
}

}  // namespace convoy
