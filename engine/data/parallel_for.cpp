#include "engine/data/parallel_for.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

// OpenMP's, if the process has it: this room does not need it.
extern "C" {
[[gnu::weak]] int omp_get_num_places();
[[gnu::weak]] int omp_get_place_num_procs(int place);
[[gnu::weak]] void omp_get_place_proc_ids(int place, int* ids);
}

namespace convoy {
namespace {

/// The processors of this process. OpenMP may have bound the calling thread to one of them, and threads begin
/// with the set of the thread that makes them; its places are all that the process began with. Empty if there
/// are more than a set can name.
cpu_set_t own_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return set;
  if (omp_get_num_places == nullptr || omp_get_place_num_procs == nullptr ||
      omp_get_place_proc_ids == nullptr) {
    return set;
  }
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> ids(static_cast<std::size_t>(std::max(0, omp_get_place_num_procs(place))));
    omp_get_place_proc_ids(place, ids.data());
    for (const int id : ids) {
      if (id >= 0 && id < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(id), &set);
    }
  }
  return set;
}

/// What the threads of one loop share.
class Loop {
 public:
  Loop(std::size_t count, const std::function<void(std::size_t)>& work) : count_(count), work_(work) {}

  /// One thread's part.
  void run() {
    for (std::size_t i = next_++; i < count_; i = next_++) {
      try {
        work_(i);
      } catch (...) {
        fail(i);
      }
      ++done_;
    }
    const std::lock_guard lock(mutex_);
    ++ended_;
    changed_.notify_one();
  }

  void stop() { next_ = count_; }

  /// Until that many threads have ended.
  void wait(std::size_t threads, const std::function<void(std::size_t)>& progress) {
    std::unique_lock lock(mutex_);
    for (bool ended = false; !ended;) {
      lock.unlock();
      if (progress) progress(done_);
      lock.lock();
      ended = changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return ended_ == threads; });
    }
    if (progress && !failure_) progress(done_);
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  /// All smaller numbers have been begun, so none that fails first is missed.
  void fail(std::size_t i) {
    const std::lock_guard lock(mutex_);
    if (i < failed_) {
      failed_ = i;
      failure_ = std::current_exception();
    }
    stop();
  }

  std::size_t count_;
  const std::function<void(std::size_t)>& work_;
  std::atomic<std::size_t> next_ = 0, done_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t ended_ = 0;  // threads
  std::size_t failed_ = std::numeric_limits<std::size_t>::max();
  std::exception_ptr failure_;
};

}  // namespace

void parallel_for(std::size_t count, const std::function<void(std::size_t)>& work,
                  const std::function<void(std::size_t)>& progress) {
  Loop loop(count, work);
  const cpu_set_t processors = own_processors();
  const bool known = CPU_COUNT(&processors) > 0;
  const std::size_t most =
      known ? static_cast<std::size_t>(CPU_COUNT(&processors)) : std::thread::hardware_concurrency();
  {
    std::vector<std::jthread> threads;  // joined at the end
    try {
      for (std::size_t i = 0; i < std::min(count, most); ++i) {
        threads.emplace_back([&loop, &processors, known] {
          if (known) sched_setaffinity(0, sizeof processors, &processors);
          loop.run();
        });
      }
    } catch (const std::system_error&) {  // fewer do as well
    }
    if (threads.empty()) loop.run();
    try {
      loop.wait(std::max<std::size_t>(threads.size(), 1), progress);
    } catch (...) {
      loop.stop();
      throw;
    }
  }
  loop.rethrow();
}

}  // namespace convoy
