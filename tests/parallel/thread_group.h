// A group whose processes are threads of a test: what the engine does with a group, without MPI.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/parallel/communicator.h"

namespace convoy::test {

/// Where the threads meet. One that fails makes the others throw, where MPI would end them.
class Meeting {
 public:
  explicit Meeting(int size) : size_(size), memory_(static_cast<std::size_t>(size)) {}

  /// Returns when all have called it. Throws Error if one has failed.
  void wait();
  void fail();

  int size() const { return size_; }
  /// What rank r shows the others between two waits.
  void*& memory(int rank) { return memory_[static_cast<std::size_t>(rank)]; }

 private:
  int size_;
  std::vector<void*> memory_;
  std::mutex mutex_;
  std::condition_variable all_here_;
  int waiting_ = 0;
  std::uint64_t rounds_ = 0;
  bool failed_ = false;
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(int rank, Meeting& meeting)
      : Communicator({.rank = rank, .size = meeting.size()}), meeting_(meeting) {}

  std::string description() const override { return "threads"; }
  void sum(std::span<float> values) override { sum_in_order(values); }
  void sum(std::span<double> values) override { sum_in_order(values); }
  void broadcast(std::span<std::byte> bytes) override;
  std::vector<double> gather(std::span<const double> values) override;
  void barrier() override { meeting_.wait(); }
  void leave() override { barrier(); }
  [[noreturn]] void abort(int code) override { std::_Exit(code); }

 private:
  template <typename T>
  void sum_in_order(std::span<T> values);

  Meeting& meeting_;
};

/// Runs `work` as each rank, in a thread of its own. Rethrows what the first to fail threw.
void run_as_group(int size, const std::function<void(std::shared_ptr<Communicator>)>& work);

}  // namespace convoy::test
