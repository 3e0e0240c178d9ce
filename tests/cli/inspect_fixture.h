// Runs convoy inspect.
#pragma once

#include <string>

#include "tests/cli/bad_input.h"

namespace convoy::test {

class InspectingTest : public BadInputTest {
 protected:
  Outcome inspect(const std::string& file) { return run({"inspect", file}, {folder_.path()}); }

  nlohmann::json event_of(const std::string& file) {
    const Outcome outcome = run({"inspect", "--json", file}, {folder_.path()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const auto events = json_lines(outcome.out);
    if (events.size() != 1) {
      ADD_FAILURE() << outcome.out;
      return {};
    }
    EXPECT_EQ(events[0]["event"], "inspect");
    EXPECT_EQ(events[0]["file"], file);
    return events[0];
  }
};

}  // namespace convoy::test
