/// @file
/// The version of Convoy. The build reads it from here.
#pragma once

/// The first number: programs for one major version need not compile with another.
#define CONVOY_VERSION_MAJOR 0
/// The second number; while the first is 0, what is said of that holds for this one.
#define CONVOY_VERSION_MINOR 1
/// The third number: repairs alone.
#define CONVOY_VERSION_PATCH 0

/// @cond
#define CONVOY_VERSION_TEXT_OF(number) #number
#define CONVOY_VERSION_TEXT(major, minor, patch) \
  CONVOY_VERSION_TEXT_OF(major) "." CONVOY_VERSION_TEXT_OF(minor) "." CONVOY_VERSION_TEXT_OF(patch)
/// @endcond

/// The version of these headers as text: "0.1.0".
#define CONVOY_VERSION_STRING \
  CONVOY_VERSION_TEXT(CONVOY_VERSION_MAJOR, CONVOY_VERSION_MINOR, CONVOY_VERSION_PATCH)

namespace convoy {

/// The version of the library that a program is linked with. It differs from CONVOY_VERSION_STRING where the
/// headers are those of another.
const char* version();

}  // namespace convoy
