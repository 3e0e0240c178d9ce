// Streams, events and graphs. Work waits in its stream's queue until the host waits for it; then the queues
// are emptied in an order that is drawn at random from all that their dependencies allow.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "tests/software_gpu/gpu.h"

namespace software_gpu {

struct StreamState;

/// Everything that the stream had been given up to there.
struct Mark {
  std::shared_ptr<StreamState> stream;
  std::uint64_t position = 0;

  bool reached() const;
};

struct Task {
  Work work;
  std::vector<Mark> after;
};

struct StreamState {
  bool blocking = true;  // ordered with the legacy default stream
  std::deque<Task> queue;
  std::uint64_t enqueued = 0;
  std::uint64_t done = 0;
  double milliseconds = 0.0;   // that its work took by Work::milliseconds
  std::vector<Mark> wait_for;  // of the next task: events

  bool capturing = false;
  /// The thread that captures in the mode ThreadLocal, which forbids nothing to others; else no thread's.
  std::thread::id capturer;
  bool capture_broken = false;
  std::vector<Work> captured;
  // Of a stream that an event drew into the capture of another:
  StreamState* origin = nullptr;
  std::uint64_t given = 0;  // captured from it
  bool joined = true;       // the origin waits for all that it was given
};

}  // namespace software_gpu

struct CUstream_st {
  std::shared_ptr<software_gpu::StreamState> state = std::make_shared<software_gpu::StreamState>();
};

struct CUevent_st {
  bool with_timing = true;
  bool recorded = false;
  // Recorded last in a stream that was being captured: it will never happen, but orders the capture's
  // streams.
  bool captured = false;
  software_gpu::Mark mark;
  std::shared_ptr<double> milliseconds;  // when the device reached it
};

struct CUgraph_st {
  std::vector<software_gpu::Work> nodes;
};

struct CUgraphExec_st {
  std::vector<software_gpu::Work> nodes;
};

namespace software_gpu {

/// Null for a stream that does not exist.
StreamState* find_stream(cudaStream_t stream);
std::shared_ptr<StreamState> share_stream(cudaStream_t stream);
void add_stream(cudaStream_t stream);
/// Runs what is left in it first.
void remove_stream(cudaStream_t stream);

/// Runs the stream's work to its end, and some of the others'.
void drain(StreamState& stream);
void drain_all();
void run_until(const Mark& mark);
/// A device that failed while it worked: what was enqueued never runs. Returns `failure`.
cudaError_t lose_everything(cudaError_t failure);

/// Ends the capture for the streams that were drawn into it; whether one of them was never waited for.
bool leave_capture(StreamState& origin);
/// Whether a stream is being captured so that this thread must heed it. Calls that are then forbidden return
/// `refuse_in_capture()`, which breaks the capture as well.
bool is_capturing();
cudaError_t refuse_in_capture(cudaError_t code = cudaErrorStreamCaptureUnsupported);

/// The error that cudaGetLastError() gives next. Returns it.
cudaError_t remember(cudaError_t error);
cudaError_t last_error(bool clear);

}  // namespace software_gpu
