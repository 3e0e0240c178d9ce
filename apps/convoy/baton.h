// One thread at a time, in turn.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace convoy {

/// Only the thread that has it runs. So what was written for one thread needs no lock, and what a GPU is
/// given by several of them goes on while another has its turn.
class Baton {
 public:
  /// For so many threads, whose first turns come in the order of their numbers.
  explicit Baton(std::uint64_t threads) : next_(threads) {}
  Baton(const Baton&) = delete;  // the threads know where it is
  Baton& operator=(const Baton&) = delete;

  /// A thread's first call: waits until it is the turn of `number`, from 0.
  void take(std::uint64_t number);

  /// Its last one.
  void give();

  /// Lets all others that wait have a turn, and waits for the next of its own.
  void pass();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t turn_ = 0;
  std::uint64_t next_;  // to be drawn
};

}  // namespace convoy
