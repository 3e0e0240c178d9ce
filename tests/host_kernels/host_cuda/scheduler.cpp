#include "tests/host_kernels/host_cuda/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "cuda_runtime.h"
#include "tests/host_kernels/host_cuda/sanitizer_hooks.h"

namespace host_cuda {
namespace {

constexpr unsigned kNobody = ~0u;

bool accepted(const LaunchShape& shape) {
  const dim3& grid = shape.grid;
  const dim3& block = shape.block;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  return threads >= 1 && threads <= kMaxThreads && block.z <= 64 && grid.x >= 1 && grid.x <= 0x7fffffffu &&
         grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
}

uint3 position(unsigned index, const dim3& extent) {
  return {index % extent.x, index / extent.x % extent.y, index / (extent.x * extent.y)};
}

bool same_site(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

}  // namespace

Scheduler& Scheduler::instance() {
  static Scheduler scheduler;
  return scheduler;
}

void Scheduler::set_order(Order order, unsigned seed) {
  order_ = order;
  seed_ = seed;
}

std::vector<unsigned> Scheduler::ordered(unsigned count) {
  std::vector<unsigned> result(count);
  std::iota(result.begin(), result.end(), 0u);
  if (order_ == Order::descending) std::reverse(result.begin(), result.end());
  if (order_ == Order::shuffled) std::shuffle(result.begin(), result.end(), random_);
  return result;
}

bool Scheduler::run(const std::function<void()>& body, const LaunchShape& shape) {
  if (!accepted(shape)) return false;
  body_ = &body;
  ::blockDim = shape.block;
  ::gridDim = shape.grid;
  random_.seed(seed_);
  threads_.resize(std::size_t{shape.block.x} * shape.block.y * shape.block.z);
  if (under_tsan()) {
    // Twice as many as a block has threads, used in turn: neighbouring blocks then share no fiber, so that
    // TSan takes their threads for different ones and sees the races between them.
    while (fibers_.size() < 2 * threads_.size() + 1) {
      fibers_.push_back(std::make_unique<Fiber>());
    }
  }
  release(&launch_token_);
  for (const unsigned block : ordered(shape.grid.x * shape.grid.y * shape.grid.z)) {
    run_block(position(block, shape.grid));
  }
  acquire(&end_token_);
  shared_memory_.end_launch();
  return true;
}

void Scheduler::run_block(uint3 block) {
  ::blockIdx = block;
  const auto count = static_cast<unsigned>(threads_.size());
  for (unsigned i = 0; i < count; ++i) {
    threads_[i] = Thread{};
    threads_[i].index = i;
    threads_[i].position = position(i, ::blockDim);
  }
  turn_ = ordered(count);
  cursor_ = 0;
  alive_ = count;
  waiting_ = 0;
  token_set_ = (token_set_ + 1) % kTokenSets;
  shared_memory_.begin_block();
  const unsigned first = next_runnable();
  threads_[first].fiber = &take_fiber();
  enter(first);
  caller_.switch_to(*threads_[first].fiber);
}

Fiber& Scheduler::take_fiber() {
  Fiber* fiber = nullptr;
  if (under_tsan()) {
    fiber = fibers_[next_fiber_++ % fibers_.size()].get();
  } else if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>());
    fiber = fibers_.back().get();
  } else {
    fiber = idle_.back();
    idle_.pop_back();
  }
  fiber->prepare(fiber_entry);
  return *fiber;
}

void Scheduler::enter(unsigned thread) {
  current_ = thread;
  ::threadIdx = threads_[thread].position;
}

unsigned Scheduler::next_runnable() {
  for (std::size_t i = 0; i < turn_.size(); ++i) {
    const std::size_t at = (cursor_ + i) % turn_.size();
    const ThreadState state = threads_[turn_[at]].state;
    if (state == ThreadState::fresh || state == ThreadState::ready) {
      cursor_ = at;
      return turn_[at];
    }
  }
  return kNobody;
}

void Scheduler::fiber_entry() {
  Scheduler& scheduler = instance();
  for (;;) {
    Fiber* self = scheduler.threads_[scheduler.current_].fiber;
    scheduler.run_thread();
    const unsigned next = scheduler.alive_ ? scheduler.next_runnable() : kNobody;
    // A thread that has not begun continues on this very stack, without a switch.
    if (under_tsan() || next == kNobody || scheduler.threads_[next].state != ThreadState::fresh) {
      scheduler.finish_fiber();
    }
    scheduler.threads_[next].fiber = self;
    scheduler.enter(next);
  }
}

void Scheduler::run_thread() {
  Thread& thread = threads_[current_];
  thread.state = ThreadState::ready;
  acquire(&launch_token_);
  (*body_)();
  release(&end_token_);
  thread.state = ThreadState::done;
  --alive_;
  release_barrier();
  check_no_lane_waits_for(thread.index);
}

// The current thread is done and nobody can continue on its fiber: passes control on for good.
void Scheduler::finish_fiber() {
  const Thread& done = threads_[current_];
  Fiber* self = done.fiber;
  Fiber* to = &caller_;
  if (alive_ > 0) {
    const unsigned next = next_runnable();
    if (next == kNobody) fail("deadlock: every live thread of the block waits", done);
    if (threads_[next].state == ThreadState::fresh) threads_[next].fiber = &take_fiber();
    enter(next);
    to = threads_[next].fiber;
  }
  if (!under_tsan()) idle_.push_back(self);
  self->leave_to(*to);
}

void Scheduler::wait(Thread& thread) {
  const unsigned next = next_runnable();
  if (next == kNobody) fail("deadlock: every live thread of the block waits", thread);
  Thread& other = threads_[next];
  if (other.state == ThreadState::fresh) other.fiber = &take_fiber();
  enter(next);
  if (other.fiber != thread.fiber) thread.fiber->switch_to(*other.fiber);
}

void Scheduler::block_barrier(std::source_location site) {
  Thread& thread = threads_[current_];
  thread.site = site;
  thread.state = ThreadState::at_barrier;
  ++waiting_;
  void* token = &tokens_[token_set_].barrier[barriers_passed_ % 2];
  release(token);
  release_barrier();
  wait(thread);
  acquire(token);
}

void Scheduler::release_barrier() {
  if (waiting_ == 0 || waiting_ != alive_) return;
  const Thread* first = nullptr;
  for (const Thread& thread : threads_) {
    if (thread.state != ThreadState::at_barrier) continue;
    if (!first) first = &thread;
    if (!same_site(first->site, thread.site)) fail("threads of one block meet at different barriers", thread);
  }
  if (alive_ != threads_.size()) fail("a barrier after some threads of the block have exited", *first);
  for (Thread& thread : threads_) thread.state = ThreadState::ready;
  waiting_ = 0;
  ++barriers_passed_;
  if (order_ == Order::shuffled)
    std::shuffle(turn_.begin(), turn_.end(), random_);  // in place: we are in a fiber
  cursor_ = 0;
}

void Scheduler::fence() {
  Thread& thread = threads_[current_];
  if (thread.last_atomic) acquire(thread.last_atomic);
  thread.last_atomic = nullptr;
  thread.fenced = true;
}

void Scheduler::before_atomic(const void* address) {
  Thread& thread = threads_[current_];
  if (thread.fenced) release(address);
  thread.fenced = false;
}

void Scheduler::after_atomic(const void* address) { threads_[current_].last_atomic = address; }

void Scheduler::fail(const char* what, const Thread& thread) const {
  std::fprintf(stderr, "host_cuda: %s\n  at %s:%u, block (%u,%u,%u) thread %u\n", what,
               thread.site.file_name(), thread.site.line(), ::blockIdx.x, ::blockIdx.y, ::blockIdx.z,
               thread.index);
  for (const Thread& other : threads_) {
    if (other.state != ThreadState::at_barrier && other.state != ThreadState::in_warp_operation) continue;
    std::fprintf(stderr, "  thread %u waits at %s:%u\n", other.index, other.site.file_name(),
                 other.site.line());
    break;
  }
  std::abort();
}

void set_order(Order order, unsigned seed) { Scheduler::instance().set_order(order, seed); }

bool run(const std::function<void()>& thread, const LaunchShape& shape) {
  return Scheduler::instance().run(thread, shape);
}

void block_barrier(std::source_location site) { Scheduler::instance().block_barrier(site); }

std::uint64_t warp_operation(WarpOperation operation, std::uint32_t mask, std::uint64_t value,
                             unsigned source_lane, std::source_location site) {
  return Scheduler::instance().warp_operation(operation, mask, value, source_lane, site);
}

unsigned lane() { return Scheduler::instance().lane(); }

void fence() { Scheduler::instance().fence(); }

void before_atomic(const void* address) { Scheduler::instance().before_atomic(address); }

void after_atomic(const void* address) { Scheduler::instance().after_atomic(address); }

void* shared_array(const void* key, std::size_t bytes) {
  return Scheduler::instance().shared_memory().array(key, bytes);
}

}  // namespace host_cuda
