// Warp operations: the lanes of a mask meet, and values change hands.
#include "tests/host_kernels/host_cuda/sanitizer_hooks.h"
#include "tests/host_kernels/host_cuda/scheduler.h"

namespace host_cuda {
namespace {

constexpr std::uint32_t kFullMask = ~0u;

bool holds(std::uint32_t mask, unsigned lane) { return (mask >> lane & 1u) != 0; }

}  // namespace

std::uint64_t Scheduler::warp_operation(WarpOperation operation, std::uint32_t mask, std::uint64_t value,
                                        unsigned source_lane, std::source_location site) {
  Thread& thread = threads_[current_];
  const unsigned warp = thread.index / kWarpLanes;
  thread.site = site;
  const std::size_t lanes = threads_.size() - std::size_t{warp} * kWarpLanes;
  if (mask == kFullMask && lanes < kWarpLanes) mask = (1u << lanes) - 1;  // the block's last, partial warp
  if (!holds(mask, lane())) fail("the calling lane is not in its own warp mask", thread);
  thread.operation = operation;
  thread.mask = mask;
  thread.value_in = value;
  thread.source_lane = source_lane;
  thread.state = ThreadState::in_warp_operation;
  // Only __syncwarp orders memory; a shuffle moves its value and nothing else.
  void* token = &tokens_[token_set_].warp[warp][warps_passed_[warp] % 2];
  if (operation == WarpOperation::synchronise) release(token);
  release_warp(thread);
  wait(thread);
  if (operation == WarpOperation::synchronise) acquire(token);
  return thread.value_out;
}

std::uint32_t Scheduler::arrived_lanes(const Thread& last) const {
  const unsigned base = last.index / kWarpLanes * kWarpLanes;
  std::uint32_t arrived = 0;
  for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
    if (!holds(last.mask, lane)) continue;
    if (base + lane >= threads_.size()) fail("the warp mask names a lane that the block does not have", last);
    const Thread& thread = threads_[base + lane];
    if (thread.state == ThreadState::done) fail("the warp mask names a lane that has exited", last);
    if (thread.state == ThreadState::at_barrier) {
      fail("a warp operation while another lane of its mask waits at a barrier", last);
    }
    if (thread.state != ThreadState::in_warp_operation) continue;
    if (thread.mask != last.mask || thread.operation != last.operation) {
      fail("lanes of one warp meet with different masks or operations", last);
    }
    arrived |= 1u << lane;
  }
  return arrived;
}

void Scheduler::release_warp(Thread& last) {
  const std::uint32_t arrived = arrived_lanes(last);
  if (arrived != last.mask) return;
  const unsigned warp = last.index / kWarpLanes;
  Thread* lanes = &threads_[std::size_t{warp} * kWarpLanes];
  std::uint64_t ballot = 0;
  for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
    if (holds(arrived, lane) && lanes[lane].value_in != 0) ballot |= std::uint64_t{1} << lane;
  }
  for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
    if (!holds(arrived, lane)) continue;
    Thread& thread = lanes[lane];
    if (thread.operation == WarpOperation::shuffle) {
      if (thread.source_lane >= kWarpLanes || !holds(arrived, thread.source_lane)) {
        fail("a shuffle reads a lane outside its mask", thread);
      }
      thread.value_out = lanes[thread.source_lane].value_in;
    } else {
      thread.value_out = ballot;
    }
    thread.state = ThreadState::ready;
  }
  ++warps_passed_[warp];
}

void Scheduler::check_no_lane_waits_for(unsigned exited) const {
  const unsigned base = exited / kWarpLanes * kWarpLanes;
  for (unsigned i = base; i < base + kWarpLanes && i < threads_.size(); ++i) {
    const Thread& thread = threads_[i];
    if (thread.state == ThreadState::in_warp_operation && holds(thread.mask, exited - base)) {
      fail("a lane exited while its warp waits for it", thread);
    }
  }
}

}  // namespace host_cuda
