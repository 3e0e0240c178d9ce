// Ranges on a profiler's timeline (NVTX, domain `convoy`). They do nothing, and cost next to nothing, in a
// build without NVTX's headers or while no profiler is attached.
#pragma once

#include <cstdint>
#include <string>

namespace convoy::trace {

/// A name that is registered with the profiler, so that opening a range copies no string. It is never
/// released, because NVTX has no call for that. Registering the same text again gives the same name.
class Name {
 public:
  explicit Name(const std::string& text);

 private:
  friend class Range;
  void* handle_ = nullptr;
};

/// A range on this thread, open from its construction to its destruction. Ranges nest.
class Range {
 public:
  explicit Range(const Name& name);
  /// With a number that the profiler shows beside the name, such as that of a step or epoch.
  Range(const Name& name, std::int64_t payload);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace convoy::trace
