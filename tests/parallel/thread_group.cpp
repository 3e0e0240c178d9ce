#include "tests/parallel/thread_group.h"

#include <algorithm>
#include <exception>
#include <thread>

namespace convoy::test {

void Meeting::wait() {
  std::unique_lock lock(mutex_);
  if (failed_) throw Error("another rank failed");
  if (++waiting_ == size_) {
    waiting_ = 0;
    ++rounds_;
    all_here_.notify_all();
    return;
  }
  const std::uint64_t round = rounds_;
  all_here_.wait(lock, [&] { return failed_ || rounds_ != round; });
  if (rounds_ == round) throw Error("another rank failed");
}

void Meeting::fail() {
  const std::lock_guard lock(mutex_);
  failed_ = true;
  all_here_.notify_all();
}

template <typename T>
void ThreadCommunicator::sum_in_order(std::span<T> values) {
  meeting_.memory(rank()) = values.data();
  meeting_.wait();
  std::vector<T> sums(values.size());
  for (int r = 0; r < size(); ++r) {
    const T* const theirs = static_cast<const T*>(meeting_.memory(r));
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += theirs[i];
  }
  meeting_.wait();
  std::ranges::copy(sums, values.begin());
}

void ThreadCommunicator::broadcast(std::span<std::byte> bytes) {
  meeting_.memory(rank()) = bytes.data();
  meeting_.wait();
  if (!leads()) std::copy_n(static_cast<const std::byte*>(meeting_.memory(0)), bytes.size(), bytes.begin());
  meeting_.wait();
}

std::vector<double> ThreadCommunicator::gather(std::span<const double> values) {
  std::vector<double> ours(values.begin(), values.end()), all;
  meeting_.memory(rank()) = ours.data();
  meeting_.wait();
  for (int r = 0; leads() && r < size(); ++r) {
    const auto* const theirs = static_cast<const double*>(meeting_.memory(r));
    all.insert(all.end(), theirs, theirs + ours.size());
  }
  meeting_.wait();
  return all;
}

void run_as_group(int size, const std::function<void(std::shared_ptr<Communicator>)>& work) {
  Meeting meeting(size);
  std::exception_ptr first;
  std::mutex mutex;
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] {
        try {
          work(std::make_shared<ThreadCommunicator>(rank, meeting));
        } catch (...) {
          {
            const std::lock_guard lock(mutex);
            if (!first) first = std::current_exception();
          }
          meeting.fail();
        }
      });
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace convoy::test
