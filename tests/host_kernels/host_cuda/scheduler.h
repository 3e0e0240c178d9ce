// The threads of the block that runs, and who goes next. Internal to host_cuda.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "tests/host_kernels/host_cuda/fiber.h"
#include "tests/host_kernels/host_cuda/host_cuda.h"
#include "tests/host_kernels/host_cuda/shared_memory.h"

namespace host_cuda {

constexpr unsigned kWarpLanes = 32;
constexpr unsigned kMaxThreads = 1024;

enum class ThreadState { fresh, ready, at_barrier, in_warp_operation, done };

struct Thread {
  unsigned index = 0;  // linear, in the block
  uint3 position = {0, 0, 0};
  ThreadState state = ThreadState::fresh;
  Fiber* fiber = nullptr;
  std::source_location site;  // where it waits
  WarpOperation operation = WarpOperation::synchronise;
  std::uint32_t mask = 0;
  unsigned source_lane = 0;
  std::uint64_t value_in = 0;
  std::uint64_t value_out = 0;
  bool fenced = false;                // since its last atomic
  const void* last_atomic = nullptr;  // that no fence has followed yet
};

class Scheduler {
 public:
  static Scheduler& instance();

  void set_order(Order order, unsigned seed);
  bool run(const std::function<void()>& body, const LaunchShape& shape);

  void block_barrier(std::source_location site);
  std::uint64_t warp_operation(WarpOperation operation, std::uint32_t mask, std::uint64_t value,
                               unsigned source_lane, std::source_location site);
  void fence();
  void before_atomic(const void* address);
  void after_atomic(const void* address);
  unsigned lane() const { return current_ % kWarpLanes; }
  SharedMemory& shared_memory() { return shared_memory_; }

 private:
  static void fiber_entry();
  void run_block(uint3 block);
  void run_thread();
  [[noreturn]] void finish_fiber();
  Fiber& take_fiber();
  void enter(unsigned thread);
  unsigned next_runnable();
  void wait(Thread& thread);
  void release_barrier();
  void release_warp(Thread& last);
  std::uint32_t arrived_lanes(const Thread& last) const;
  void check_no_lane_waits_for(unsigned exited) const;
  std::vector<unsigned> ordered(unsigned count);
  [[noreturn]] void fail(const char* what, const Thread& thread) const;

  const std::function<void()>* body_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<unsigned> turn_;  // the order in which runnable threads are looked for
  std::size_t cursor_ = 0;
  unsigned current_ = 0;
  unsigned alive_ = 0;
  unsigned waiting_ = 0;  // at the barrier
  Order order_ = Order::ascending;
  std::mt19937 random_;
  unsigned seed_ = 1;

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;    // without TSan: the last one used goes first
  std::size_t next_fiber_ = 0;  // under TSan: in turn
  Fiber caller_{Fiber::Caller{}};
  SharedMemory shared_memory_;

  // What TSan is told: tokens that are released and acquired. A block has its own, because blocks are not
  // ordered among each other (until the sets run out); a barrier has two, used in turn, so that who arrives
  // at the next one does not order who still leaves this one.
  static constexpr unsigned kTokenSets = 64;
  struct Tokens {
    std::array<char, 2> barrier;
    std::array<std::array<char, 2>, kMaxThreads / kWarpLanes> warp;
  };
  std::array<Tokens, kTokenSets> tokens_{};
  unsigned token_set_ = 0;
  unsigned barriers_passed_ = 0;
  std::array<unsigned, kMaxThreads / kWarpLanes> warps_passed_{};
  char launch_token_ = 0;
  char end_token_ = 0;
};

}  // namespace host_cuda
