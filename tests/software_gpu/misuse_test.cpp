// The stand-ins are of use only if they find what they are there for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/shell.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ShellResult plant(const std::string& bug) { return run_in_shell(MISUSE_PROGRAM " " + bug); }

TEST(Misuse, HostCodeMayNotTouchDeviceMemory) {
  const ShellResult result = plant("touch_on_the_host");
  EXPECT_EQ(result.code, 134);
  EXPECT_THAT(result.output, HasSubstr("host code touches"));
}

TEST(Misuse, RangesAreChecked) {
  EXPECT_THAT(plant("copy_too_much").output, HasSubstr("1001 bytes are not within one live allocation"));
  EXPECT_THAT(plant("use_after_free").output, HasSubstr("1000 bytes are not within one live allocation"));
}

TEST(Misuse, AGraphMayNotOutliveItsMemory) {
  EXPECT_THAT(plant("free_below_pending_work").output, HasSubstr("not within one live allocation"));
}

TEST(Misuse, LeaksAreReported) {
  const ShellResult result = plant("leak");
  EXPECT_EQ(result.code, 70);
  EXPECT_THAT(result.output, HasSubstr("leaked 1000 bytes"));
}

TEST(Misuse, NothingRunsBeforeSomeoneWaits) {
  const ShellResult result = plant("read_too_early");
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("early -1"), HasSubstr("late 42")));
}

TEST(Misuse, StreamsKeepTheOrderOfEventsAndNoOther) {
  const ShellResult result = plant("order_streams");
  EXPECT_EQ(result.code, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("ordered 20 of 20"), HasSubstr("unordered both ways")));
}

TEST(Misuse, FreshMemoryIsNan) { EXPECT_THAT(plant("read_fresh_memory").output, HasSubstr("nan")); }

TEST(Misuse, CaptureForbidsAllocationAndWaiting) {
  const ShellResult result = plant("allocate_in_capture");
  EXPECT_EQ(result.code, 0) << result.output;
  // cudaErrorStreamCaptureUnsupported, and then cudaErrorStreamCaptureInvalidated.
  EXPECT_THAT(result.output, HasSubstr("malloc 900\nend 901\nsynchronize 900\nend 901"));
}

TEST(Misuse, AForkOfACaptureMustBeJoined) {
  const ShellResult result = plant("fork_a_capture");
  EXPECT_EQ(result.code, 0) << result.output;
  // cudaErrorStreamCaptureUnjoined 904.
  EXPECT_EQ(result.output, "joined 0, 2 nodes\nleft 904, 0 nodes\ntoo early 904, 0 nodes\n");
}

TEST(Misuse, EventsTimeOnlyWhatWasRecordedAndReached) {
  const ShellResult result = plant("time_with_events");
  EXPECT_EQ(result.code, 0) << result.output;
  // cudaErrorInvalidResourceHandle 400, cudaErrorNotReady 600, cudaErrorCapturedEvent 907.
  EXPECT_EQ(result.output,
            "flags 1\nunrecorded 400\nnot reached 600\nuntimed 400\ntimed 0 forwards\n"
            "wait in capture 900\ncaptured 907 907\n");
}

TEST(Misuse, EventsAreMissedAtTheEnd) {
  const ShellResult result = plant("leak_event");
  EXPECT_EQ(result.code, 70);
  EXPECT_THAT(result.output, HasSubstr("leaked 1 of events"));
}

TEST(Misuse, DescriptorsAreChecked) {
  const ShellResult result = plant("bad_descriptor");
  EXPECT_EQ(result.code, 0) << result.output;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("wrong type 2010"), HasSubstr("wrong count 2006"), HasSubstr("wrong name 3000"),
                    HasSubstr("incomplete 2000"), HasSubstr("layout 3004")));
}

}  // namespace
}  // namespace convoy::test
