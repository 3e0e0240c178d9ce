// A run's log.jsonl, line by line, as reports and comparisons read it.
#include "apps/convoy/report/logged_run.h"

#include <cmath>

#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  LoggedRun run;
  // A line is parsed into objects, as run.json is; the buffer and the longest line are constant.
  constexpr fuzz::Bound kBound{.per_byte = 200, .constant = 512 << 10};
  const bool read = fuzz::accepts(size, kBound, [&] { run = read_log(file.path()); });
  fuzz::require(read, "whatever a log holds, it is passed over");
  for (const auto* curve : {&run.step_loss, &run.epoch_loss, &run.validation_loss, &run.test_loss,
                            &run.step_accuracy, &run.epoch_accuracy, &run.learning_rate}) {
    for (const Point& point : *curve)
      fuzz::require(std::isfinite(point.x) && std::isfinite(point.y), "points are finite");
  }
  return 0;
}
