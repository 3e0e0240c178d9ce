#include "engine/train/profiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "convoy/error.h"

namespace convoy {
namespace {

constexpr int kStepRow = 1;
constexpr int kPartRow = 2;

// A "complete" event; the format counts in microseconds.
nlohmann::json event(const std::string& name, const char* category, int row, double start_ms,
                     double duration_ms) {
  return {{"name", name},          {"cat", category},          {"ph", "X"}, {"pid", 1}, {"tid", row},
          {"ts", start_ms * 1000}, {"dur", duration_ms * 1000}};
}

nlohmann::json row_name(int row, const char* name) {
  return {{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", row}, {"args", {{"name", name}}}};
}

}  // namespace

double Samples::quantile(double part) const {
  std::vector<double> sorted = values_;
  std::ranges::sort(sorted);
  return sorted.at(static_cast<std::size_t>(std::lround(part * static_cast<double>(sorted.size() - 1))));
}

std::string StepProfile::chrome_trace() const {
  nlohmann::json events = {row_name(kStepRow, "steps"), row_name(kPartRow, "parts")};
  for (std::size_t step = 0; step < step_ms.size(); ++step) {
    const double start = parts.front().start_ms.values()[step];
    events.push_back(
        event(fmt::format("step {}", step + 1), "step", kStepRow, start, step_ms.values()[step]));
    for (const PartProfile& part : parts) {
      nlohmann::json one = event(part.label, name_of(part.pass), kPartRow, part.start_ms.values()[step],
                                 part.duration_ms.values()[step]);
      one["args"] = {{"type", part.type}};
      events.push_back(std::move(one));
    }
  }
  return nlohmann::json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}}.dump();
}

StepProfiler::StepProfiler(Backend& backend, const Step& step) : backend_(backend), step_(step) {}

void StepProfiler::run_step() {
  Marks marks;
  step_.run_parts([&](std::size_t) { marks.push_back(backend_.mark()); });
  steps_.push_back(std::move(marks));
}

StepProfile StepProfiler::result() const {
  if (steps_.empty()) throw Error("no step was profiled");
  StepProfile profile;
  for (const StepPart& part : step_.parts()) {
    profile.parts.push_back({part.name, part.type, part.pass, part.label(), {}, {}});
  }
  const TimeMark& begin = *steps_.front().front();
  for (const Marks& marks : steps_) {
    for (std::size_t i = 0; i < profile.parts.size(); ++i) {
      profile.parts[i].start_ms.add(marks[i]->milliseconds_since(begin));
      profile.parts[i].duration_ms.add(marks[i + 1]->milliseconds_since(*marks[i]));
    }
    profile.step_ms.add(marks.back()->milliseconds_since(*marks.front()));
  }
  return profile;
}

}  // namespace convoy
