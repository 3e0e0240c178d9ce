#include "apps/convoy/failure.h"

#include <new>
#include <utility>

#include "apps/convoy/interrupt.h"
#include "apps/convoy/remedy.h"
#include "apps/convoy/terminal.h"

namespace convoy {

int fail(int code, std::string message) {
  say_error(std::move(message));
  return code;
}

int report_failure() {
  try {
    throw;
  } catch (const Interrupted& interrupted) {
    return fail(interrupted.exit_code(), interrupted.what());
  } catch (const UsageError& error) {
    return fail(kUsage, with_remedy(error));
  } catch (const std::bad_alloc&) {
    return fail(kFailed, "out of memory: try a smaller --batch-size, a smaller model or fewer images");
  } catch (const Error& error) {
    return fail(kFailed, with_remedy(error));
  } catch (const std::exception& error) {
    return fail(kFailed, error.what());
  }
}

}  // namespace convoy
