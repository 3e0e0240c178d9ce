// Another process, of this program or another, whose events are read while it runs.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"

namespace convoy {

struct Child {
  std::string program = {};                // looked for as a shell does; empty for this program
  std::vector<std::string> arguments;      // without the program's name
  std::vector<std::string> variables;      // "NAME=VALUE", in place of this process's of that name
  std::filesystem::path errors;            // the file for its standard error
  std::function<void(const Json&)> event;  // called with each line of its standard output
  bool says_more = false;                  // lines that are no JSON are no fault, and passed over
  std::chrono::seconds limit{0};           // how long it may take; 0: as long as it likes
};

/// Runs it to its end. Returns its exit code, or 128 and the signal that ended it. While an InterruptGuard
/// lives a signal to this process is passed on as SIGTERM, so that the child may save; one with a limit has
/// seconds for that. Another program is the first of a process group, and what it starts is told and killed
/// with it. Throws Error if it cannot be started, prints what is no JSON, or is killed at its limit.
int run_child(const Child& child);

}  // namespace convoy
