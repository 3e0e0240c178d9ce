// convoy compare: what several runs differ in, and what they came to.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/convoy/commands.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/printable.h"
#include "apps/convoy/report/comparison.h"
#include "apps/convoy/terminal.h"
#include "apps/convoy/write_target.h"
#include "convoy/error.h"
#include "engine/core/atomic_file.h"

namespace convoy {
namespace {

struct CompareFlags {
  std::vector<std::filesystem::path> runs;
  std::filesystem::path html;
  bool json = false;
};

void add_rows(Table& table, const std::vector<ComparedValue>& rows) {
  for (const ComparedValue& row : rows) {
    std::vector<std::string> cells = {printable(row.name)};
    for (const std::string& value : row.values) cells.push_back(value == "–" ? "-" : printable(value));
    table.add(std::move(cells));
  }
}

void print_text(const std::vector<ComparedRun>& runs) {
  std::vector<std::string> titles = {""};
  for (const ComparedRun& run : runs) titles.push_back(printable(run.name));
  Table table(titles);
  add_rows(table, differing_options(runs));
  table.add({});
  add_rows(table, final_figures(runs));
  put(table.str());
}

void print_json(const std::vector<ComparedRun>& runs) {
  const std::vector<ComparedValue> options = differing_options(runs);
  Json all = Json::array();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Json differing = Json::object();
    for (const ComparedValue& option : options) differing[option.name] = option.values[i];
    const Json& record = runs[i].record;
    all.push_back({{"folder", runs[i].folder.string()},
                   {"options", std::move(differing)},
                   {"results", record.contains("results") ? record["results"] : Json()}});
  }
  emit({{"event", "compare"}, {"runs", std::move(all)}});
}

int run_compare(const CompareFlags& flags) {
  if (flags.runs.size() < 2) throw UsageError("compare needs two runs or more, as runs/a runs/b");
  if (!flags.html.empty()) refuse_to_harm(flags.html, {});
  const std::vector<ComparedRun> runs = read_runs(flags.runs);
  if (!flags.html.empty()) write_atomically(flags.html, comparison_page(runs));
  if (flags.json) {
    print_json(runs);
  } else {
    print_text(runs);
    if (!flags.html.empty()) put(fmt::format("\nWrote {}\n", flags.html.string()));
  }
  return 0;
}

}  // namespace

Command add_compare(CLI::App& program) {
  const auto flags = std::make_shared<CompareFlags>();
  CLI::App& command =
      *program.add_subcommand("compare", "Compare runs: options that differ, final figures, curves");
  command
      .add_option("runs", flags->runs,
                  "Folders that convoy train has written; folders without a run.json are left out")
      ->option_text("RUN RUN...")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--html", flags->html, "Also write a page with the tables and the curves of all runs")
      ->option_text("FILE")
      ->check(not_empty());
  add_json_flag(command, flags->json);
  set_footer(command,
             "  convoy compare runs/convnet-mnist-1 runs/convnet-mnist-2\n"
             "  convoy compare runs/* --html compared.html\n");
  return {&command, [flags] { return run_compare(*flags); }};
}

}  // namespace convoy
