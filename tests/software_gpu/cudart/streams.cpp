#include "tests/software_gpu/cudart/streams.h"

#include <algorithm>

#include <random>
#include <set>
#include <utility>

#include "tests/software_gpu/cudart/memory.h"

namespace software_gpu {
namespace {

struct Device {
  CUstream_st legacy;
  std::set<cudaStream_t> streams;
  std::minstd_rand random;  // seeded alike in every process: a failure can be repeated
  cudaError_t last_error = cudaSuccess;
};

Device& device() {
  static auto* device = new Device;  // never destroyed: exit handlers still use it
  return *device;
}

bool runnable(const StreamState& stream) {
  if (stream.queue.empty()) return false;
  for (const Mark& mark : stream.queue.front().after) {
    if (!mark.reached()) return false;
  }
  return true;
}

void run_front(StreamState& stream) {
  const Task task = std::move(stream.queue.front());
  stream.queue.pop_front();
  check_accesses(task.work.accesses);
  task.work.run();
  DeviceMemory::instance().check_slack(task.work.name.c_str());
  stream.milliseconds += task.work.milliseconds;
  ++stream.done;
}

// One piece of work from any stream that has some ready.
void run_one() {
  std::vector<StreamState*> ready;
  if (runnable(*device().legacy.state)) ready.push_back(device().legacy.state.get());
  for (const cudaStream_t stream : device().streams) {
    if (runnable(*stream->state)) ready.push_back(stream->state.get());
  }
  if (ready.empty()) die("streams wait for each other");
  run_front(*ready[device().random() % ready.size()]);
}

template <typename Finished>
void run_while_not(Finished finished) {
  if (finished()) return;
  const DeviceMemory::Window window;
  while (!finished()) run_one();
}

}  // namespace

bool Mark::reached() const { return !stream || stream->done >= position; }

StreamState* find_stream(cudaStream_t stream) {
  if (!stream || stream == cudaStreamLegacy || stream == cudaStreamPerThread) {
    return device().legacy.state.get();
  }
  return device().streams.contains(stream) ? stream->state.get() : nullptr;
}

std::shared_ptr<StreamState> share_stream(cudaStream_t stream) {
  return find_stream(stream) == device().legacy.state.get() ? device().legacy.state : stream->state;
}

void add_stream(cudaStream_t stream) { device().streams.insert(stream); }

void remove_stream(cudaStream_t stream) {
  drain(*stream->state);
  device().streams.erase(stream);
}

void drain(StreamState& stream) {
  run_while_not([&] { return stream.queue.empty(); });
}

void drain_all() {
  run_while_not([] {
    for (const cudaStream_t stream : device().streams) {
      if (!stream->state->queue.empty()) return false;
    }
    return device().legacy.state->queue.empty();
  });
}

void run_until(const Mark& mark) {
  run_while_not([&] { return mark.reached(); });
}

cudaError_t lose_everything(cudaError_t failure) {
  const auto lose = [](StreamState& stream) {
    stream.queue.clear();
    stream.done = stream.enqueued;
  };
  lose(*device().legacy.state);
  for (const cudaStream_t stream : device().streams) lose(*stream->state);
  return remember(failure);
}

bool leave_capture(StreamState& origin) {
  bool unjoined = false;
  for (const cudaStream_t stream : device().streams) {
    StreamState& state = *stream->state;
    if (state.origin != &origin) continue;
    unjoined = unjoined || !state.joined;
    state.origin = nullptr;
    state.joined = true;
  }
  return unjoined;
}

static bool concerns_this_thread(const StreamState& stream) {
  const bool of_all = stream.capturer == std::thread::id();
  return stream.capturing && (of_all || stream.capturer == std::this_thread::get_id());
}

bool is_capturing() {
  return std::ranges::any_of(device().streams,
                             [](cudaStream_t stream) { return concerns_this_thread(*stream->state); });
}

cudaError_t refuse_in_capture(cudaError_t code) {
  for (const cudaStream_t stream : device().streams) {
    if (concerns_this_thread(*stream->state)) stream->state->capture_broken = true;
  }
  return remember(code);
}

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) device().last_error = error;
  return error;
}

cudaError_t last_error(bool clear) {
  const cudaError_t error = device().last_error;
  if (clear) device().last_error = cudaSuccess;
  return error;
}

cudaError_t enqueue(cudaStream_t handle, Work work) {
  StreamState* stream = find_stream(handle);
  if (!stream) return remember(cudaErrorInvalidResourceHandle);
  check_accesses(work.accesses);
  if (stream->origin) {  // nodes in the order of their capture, which is one that their edges allow
    stream->joined = false;
    ++stream->given;
    stream = stream->origin;
  }
  if (stream->capturing) {
    if (stream->capture_broken) return remember(cudaErrorStreamCaptureInvalidated);
    stream->captured.push_back(std::move(work));
    return cudaSuccess;
  }
  StreamState* legacy = device().legacy.state.get();
  Task task{std::move(work), std::exchange(stream->wait_for, {})};
  if (stream == legacy) {
    if (is_capturing()) return refuse_in_capture(cudaErrorStreamCaptureImplicit);
    for (const cudaStream_t other : device().streams) {
      if (other->state->blocking) task.after.push_back({other->state, other->state->enqueued});
    }
  } else if (stream->blocking) {
    task.after.push_back({device().legacy.state, legacy->enqueued});
  }
  stream->queue.push_back(std::move(task));
  ++stream->enqueued;
  return cudaSuccess;
}

}  // namespace software_gpu
