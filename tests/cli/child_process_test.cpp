// Other processes, and the lines that they say.
#include "apps/convoy/child_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>
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

/// One that runs these lines.
Child shell(const std::string& lines, std::chrono::seconds limit) {
  return {.program = "sh",
          .arguments = {"-c", lines},
          .errors = "/dev/null",
          .event = [](const Json&) {},
          .says_more = true,
          .limit = limit};
}

/// Whether there is no such process, or one that has ended and for which nobody waits.
bool has_ended(pid_t process) {
  const std::filesystem::path status = "/proc/" + std::to_string(process) + "/stat";
  return !std::filesystem::exists(status) || read_file(status).find(") Z ") != std::string::npos;
}

TEST(RunChild, IsKilledAtItsLimitAlsoIfItSaysNothingMore) {
  const InterruptGuard guard;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of([] { run_child(shell("exec >&-; exec sleep 60", std::chrono::seconds(1))); }),
            "sh did not end within 1 s");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  EXPECT_EQ(run_child(shell("exec >&-; sleep 0.2; exit 3", std::chrono::seconds(60))), 3);
}

TEST(RunChild, IsKilledWithWhatItStarted) {
  const InterruptGuard guard;
  pid_t started = 0;
  Child child = shell("sleep 60 & echo \"{\\\"started\\\": $!}\"; wait", std::chrono::seconds(1));
  child.event = [&](const Json& event) { started = event["started"]; };
  EXPECT_EQ(error_of([&] { run_child(child); }), "sh did not end within 1 s");
  ASSERT_GT(started, 0);
  for (int i = 0; i < 1000 && !has_ended(started); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(has_ended(started));
}

TEST(RunChild, IsToldOfASignalAlsoIfItSaysNothingMore) {
  const InterruptGuard guard;
  const std::jthread teller([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(getpid(), SIGTERM);
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(run_child(shell("exec >&-; exec sleep 60", std::chrono::seconds(0))), 128 + SIGTERM);
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
