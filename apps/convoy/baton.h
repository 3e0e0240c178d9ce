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
  Baton() = default;
  Baton(const Baton&) = delete;  // the threads know where it is
  Baton& operator=(const Baton&) = delete;

  /// Before the first turn: how many threads there are, whose first turns come in the order of their numbers.
  void expect(std::uint64_t threads);

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
  std::uint64_t next_ = 0;  // to be drawn
};

}  // namespace convoy
