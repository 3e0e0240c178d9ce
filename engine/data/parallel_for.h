// A loop on all processors, for work that has nothing to do with a device.
#pragma once

#include <cstddef>
#include <functional>

namespace convoy {

/// Calls work(i) for each i below `count`, on a thread for each processor of this process, smaller ones begun
/// first. `progress` is called on this thread with how many are done: at the beginning, every tenth of a
/// second, and at the end. What it throws ends the loop. If calls of `work` throw, the exception of the
/// smallest i is rethrown when all that were begun have ended, and no further ones are begun.
void parallel_for(std::size_t count, const std::function<void(std::size_t)>& work,
                  const std::function<void(std::size_t done)>& progress = {});

}  // namespace convoy
