#include "apps/convoy/report/write_report.h"

#include <fmt/format.h>

#include "apps/convoy/report/report.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/step_timing.h"
#include "engine/core/atomic_file.h"

namespace convoy {

void write_report(const EndedRun& run) {
  const std::filesystem::path file = run.folder / kReportFile;
  try {
    LoggedRun log = read_log(run.folder / "log.jsonl");
    if (log.layers.empty() && run.profile != nullptr) {
      take_event(log, {{"event", "profile"},
                       {"ms_per_step_median", run.profile->step_ms.quantile(0.5)},
                       {"layers", to_json(layer_timings(*run.profile))}});
    }
    write_atomically(file, report_page({.name = run_name(run.folder),
                                        .record = run.record,
                                        .log = log,
                                        .failure = run.failure,
                                        .state = run.state,
                                        .test = run.test,
                                        .logits = run.logits,
                                        .class_names = run.class_names}));
  } catch (const std::exception& error) {
    say_note(fmt::format("{} is not written: {}", file.string(), error.what()));
  }
}

}  // namespace convoy
