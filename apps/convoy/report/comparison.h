// Several runs beside each other.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/convoy/report/logged_run.h"
#include "engine/model/json_text.h"

namespace convoy {

/// A run as its folder tells it.
struct ComparedRun {
  std::filesystem::path folder;
  std::string name;  // the folder's own, or all of its path where several have the same
  Json record;       // run.json
  LoggedRun log;     // empty where there is no log.jsonl
};

/// Reads the folders. Those without a run.json, as `import` and `--seeds` leave beside runs, are left out
/// with a note. Throws Error if fewer than two remain, and for what is no folder or has a run.json that
/// cannot be read.
std::vector<ComparedRun> read_runs(const std::vector<std::filesystem::path>& folders);

/// What is shown of each run.
struct ComparedValue {
  std::string name;                 // "lr", "test accuracy, %"
  std::vector<std::string> values;  // of each run; "–" where it has none
};

/// The options in which the runs differ, in run.json's order, and data, device and version, if they differ.
std::vector<ComparedValue> differing_options(const std::vector<ComparedRun>& runs);

/// What the runs came to: accuracies, losses, times.
std::vector<ComparedValue> final_figures(const std::vector<ComparedRun>& runs);

/// One page with both tables, and the curves of all runs in each chart.
std::string comparison_page(const std::vector<ComparedRun>& runs);

}  // namespace convoy
