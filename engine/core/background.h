// Work that another thread does, where one can be had.
#pragma once

#include <future>
#include <system_error>

namespace convoy {

/// The result of `work`, which a thread of its own begins at once. Where the system has no thread left,
/// whoever asks for the result does the work.
template <typename Work>
auto in_background(Work work) {
  try {
    return std::async(std::launch::async, work);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, work);
  }
}

}  // namespace convoy
