// Matchers for tensors read from a backend. When they fail they report the worst element: its index, both
// values, and by how much it misses.
#pragma once

#include <gmock/gmock.h>

#include <vector>

namespace convoy {

using Values = std::vector<double>;

/// As long as `expected`, and every element equal (NaN to NaN).
testing::Matcher<const Values&> Exactly(Values expected);

/// As long as `expected`, and no element further off than `tolerance`. NaN matches only NaN, an infinity
/// only itself.
testing::Matcher<const Values&> Near(Values expected, double tolerance);

/// Near, with a tolerance relative to the largest finite |expected|.
testing::Matcher<const Values&> RelativelyNear(Values expected, double tolerance);

}  // namespace convoy
