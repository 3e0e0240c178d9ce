// The style of the pages: a small sheet without anything from elsewhere.
#pragma once

#include <string_view>

namespace convoy {

extern const std::string_view kPageStyle;

/// How many colours there are for the lines of a chart: classes c0, c1 and so on.
constexpr int kLineColours = 8;

}  // namespace convoy
