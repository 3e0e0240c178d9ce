// Writes the report of a training into its folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"
#include "convoy/dataset.h"
#include "convoy/host_tensor.h"
#include "convoy/profile.h"

namespace convoy {

/// What is known of a training when it ends.
struct EndedRun {
  const std::filesystem::path& folder;   // with its log.jsonl
  const Json& record;                    // run.json
  std::string failure = {};              // what ended it; empty: it is finished
  const StepProfile* profile = nullptr;  // if the log has none
  const StateDict* state = nullptr;      // null where it is not finished
  const Dataset* test = nullptr;         // likewise, and the next
  const std::vector<double>* logits = nullptr;
  std::vector<std::string> class_names = {};
};

/// Writes report.html, whole or not at all. A page that cannot be made is told by a note: the training is
/// what counts.
void write_report(const EndedRun& run);

}  // namespace convoy
