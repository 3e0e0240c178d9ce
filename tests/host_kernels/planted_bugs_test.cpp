// Every planted bug is found by the tool that must find it, in at least one of the three thread orders; what
// has no bug is found right in all of them.
#include <gmock/gmock.h>

#include <ostream>
#include <string>

#include "tests/shell.h"

namespace convoy {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddress = true;
constexpr bool kThread = false;
#elif defined(__SANITIZE_THREAD__)
constexpr bool kAddress = false;
constexpr bool kThread = true;
#else
constexpr bool kAddress = false;
constexpr bool kThread = false;
#endif

constexpr char kWrong[] = "wrong result";
constexpr char kOverrun[] = "AddressSanitizer: heap-buffer-overflow";
constexpr char kRace[] = "ThreadSanitizer: data race";

ShellResult run(const std::string& bug, const std::string& order) {
  return run_in_shell(PLANTED_BUGS_PROGRAM " " + bug + " " + order);
}

/// What the fiber engine, ASan with UBSan, and TSan say; null: that tool cannot see it.
struct Bug {
  const char* name;
  const char* plain;
  const char* address;
  const char* thread;
};

void PrintTo(const Bug& bug, std::ostream* out) { *out << bug.name; }

constexpr Bug everywhere(const char* name, const char* said) { return {name, said, said, said}; }

constexpr Bug kBugs[] = {
    {"global_overrun", nullptr, kOverrun, nullptr},
    {"shared_overrun", nullptr, kOverrun, nullptr},
    {"misaligned", nullptr, "misaligned address", nullptr},
    {"bad_shift", nullptr, "shift exponent", nullptr},
    {"missing_barrier", kWrong, kWrong, kRace},
    {"missing_barrier_in_reduction", kWrong, kWrong, kRace},
    {"reused_without_barrier", kWrong, kWrong, kRace},
    {"one_buffer_for_two_stages", kWrong, kWrong, kRace},
    {"warp_synchronous", kWrong, kWrong, kRace},
    {"unwritten_shared", kWrong, kWrong, kWrong},
    {"unwritten_in_template", kWrong, kWrong, kWrong},
    {"racing_threads", nullptr, nullptr, kRace},
    {"racing_blocks", nullptr, nullptr, kRace},
    {"racing_threads_of_blocks", nullptr, nullptr, kRace},
    {"missing_fence_of_writer", nullptr, nullptr, kRace},
    {"missing_fence_of_reader", nullptr, nullptr, kRace},
    {"read_after_arrival", nullptr, nullptr, kRace},
    {"shuffle_as_fence", nullptr, nullptr, kRace},
    everywhere("divergent_barrier", "a barrier after some threads"),
    everywhere("two_barriers", "different barriers"),
    everywhere("early_exit", "a barrier after some threads"),
    everywhere("divergent_shuffle", "lane"),
    everywhere("shuffle_outside_mask", "a lane outside its mask"),
    everywhere("mask_without_caller", "not in its own warp mask"),
};

class PlantedBugs : public testing::TestWithParam<Bug> {};

TEST_P(PlantedBugs, IsFound) {
  const Bug& bug = GetParam();
  const char* verdict = kAddress ? bug.address : kThread ? bug.thread : bug.plain;
  if (!verdict) GTEST_SKIP() << "only another sanitizer's build can see this one";
  std::string outputs;
  for (const char* order : {"ascending", "descending", "shuffled"}) outputs += run(bug.name, order).output;
  EXPECT_THAT(outputs, testing::HasSubstr(verdict));
}

INSTANTIATE_TEST_SUITE_P(, PlantedBugs, testing::ValuesIn(kBugs),
                         [](const auto& bug) { return std::string(bug.param.name); });

TEST(NoPlantedBug, IsRightInEveryOrder) {
  for (const char* name :
       {"no_bug", "with_fences", "with_two_buffers", "with_syncwarp", "read_before_arrival"}) {
    for (const char* order : {"ascending", "descending", "shuffled"}) {
      const ShellResult result = run(name, order);
      EXPECT_EQ(result.output, "right result\n") << name << " " << order;
      EXPECT_EQ(result.code, 0);
    }
  }
}

}  // namespace
}  // namespace convoy
