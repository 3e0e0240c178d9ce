// Ranges on a profiler's timeline (NVTX, domain `convoy`). Without NVTX's headers, or while no profiler
// listens, they cost next to nothing and do nothing.
#pragma once

#include <cstdint>
#include <string>

namespace convoy::trace {

/// A name the profiler has been told once, so that a range costs no string. Never released: NVTX has no call
/// for it, and the same text registered again is the same name.
class Name {
 public:
  explicit Name(const std::string& text);

 private:
  friend class Range;
  void* handle_ = nullptr;
};

/// Open from its construction to its destruction, on this thread; ranges nest.
class Range {
 public:
  explicit Range(const Name& name);
  /// With a number that the profiler shows beside the name: of a step, of an epoch.
  Range(const Name& name, std::int64_t payload);
  ~Range();
  Range(const Range&) = delete;  // a range is a place in the program
  Range& operator=(const Range&) = delete;
};

}  // namespace convoy::trace
