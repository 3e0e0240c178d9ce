// A schedule as the table of formulas that a device follows.
#pragma once

#include <string>

#include "engine/core/step_scalars.h"

namespace convoy {

/// Throws UsageError for a schedule that cannot be, whatever the length of the training, or not with the
/// rule's optimizer.
void check_schedule(const StepRule& rule);

/// Throws UsageError as check_schedule, and where the schedule needs a length that the rule does not know, or
/// does not fit the one that it knows.
StepTable step_table(const StepRule& rule);

/// The last step that the schedule has a rate for; 0: there is no last one. Throws as step_table.
std::int64_t last_step(const StepRule& rule);

/// No change of the rate at all.
bool is_constant(const Schedule& schedule);

/// In PyTorch's words: "CosineAnnealingLR(T_max=to the end, eta_min=0) by steps".
std::string in_words(const Schedule& schedule);

}  // namespace convoy
