// Other processes, and the lines that they say.
#include "apps/convoy/child_process.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "apps/convoy/interrupt.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

TEST(RunChild, IsKilledAtItsLimit) {
  const InterruptGuard guard;  // forgets the signals of other tests
  Child child{.program = "sleep",
              .arguments = {"60"},
              .errors = "/dev/null",
              .event = {},
              .limit = std::chrono::seconds(1)};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of([&] { run_child(child); }), "sleep did not end within 1 s");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST(RunChild, PassesOverWhatIsNoJsonIfItMay) {
  const InterruptGuard guard;
  std::vector<Json> events;
  Child child{.program = "printf",
              .arguments = {"hello\n\n{\"a\": 1}\n[2]\n{\"a\": 3}\n"},
              .errors = "/dev/null",
              .event = [&](const Json& event) { events.push_back(event); },
              .says_more = true};
  EXPECT_EQ(run_child(child), 0);
  EXPECT_EQ(events, (std::vector<Json>{{{"a", 1}}, {{"a", 3}}}));
  child.says_more = false;
  EXPECT_EQ(error_of([&] { run_child(child); }), "a process printed what is no JSON");
}

}  // namespace
}  // namespace convoy
