#include "engine/backend/step_state.h"

#include "engine/core/step_table.h"

namespace convoy {

void StepCounter::set_rule(const StepRule& rule) {
  StepRule same_schedule = rule;
  same_schedule.schedule = rule_.schedule;
  same_schedule.length = rule_.length;
  if (same_schedule != rule_) throw UsageError("the step counter was made by the rule of another optimizer");
  follow(step_table(rule));
  rule_ = rule;
}

}  // namespace convoy
