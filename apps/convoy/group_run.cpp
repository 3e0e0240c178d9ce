#include "apps/convoy/group_run.h"

#include <chrono>
#include <thread>

#include "apps/convoy/failure.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/terminal.h"
#include "convoy/process_group.h"

namespace convoy {
namespace {

/// What all ranks find wrong rank 0 tells, and as a rule ends the others before they do.
constexpr std::chrono::milliseconds kRank0Speaks(300);

int fail_in_common(Communicator& group) {
  const int code = group.leads() ? report_failure() : kFailed;
  group.leave();
  return code;
}

}  // namespace

int run_in_group(const GroupWork& work) {
  const std::shared_ptr<Communicator> group = join_group();
  if (group->size() == 1) {
    const int code = work(group);
    group->leave();
    return code;
  }
  speak_as_rank(group->rank());
  try {
    const int code = work(group);
    group->leave();
    return code;
  } catch (const Interrupted& interrupted) {
    fail_in_common(*group);
    return interrupted.exit_code();
  } catch (const CommonError&) {
    return fail_in_common(*group);
  } catch (...) {
    if (!group->leads()) std::this_thread::sleep_for(kRank0Speaks);
    const int code = report_failure();
    std::fflush(stdout);
    group->abort(code);
    return code;  // not reached
  }
}

int signal_of_group() { return InterruptGuard::interrupted() ? InterruptGuard::signal() : SIGTERM; }

bool any_interrupted(Communicator& group) {
  return sum_of(group, InterruptGuard::interrupted() ? 1.0 : 0.0) > 0.0;
}

}  // namespace convoy
