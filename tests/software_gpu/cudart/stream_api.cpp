// Streams, events, synchronisation, and capture into graphs.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>

#include "tests/software_gpu/cudart/call.h"

using namespace software_gpu;

namespace {

double now_in_milliseconds() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string summary(const std::vector<Work>& nodes) {
  int launches = 0;
  int to_device = 0;
  int to_host = 0;
  for (const Work& node : nodes) {
    launches += node.kind == WorkKind::kernel || node.kind == WorkKind::library ? 1 : 0;
    to_device += node.kind == WorkKind::copy_to_device ? 1 : 0;
    to_host += node.kind == WorkKind::copy_to_host ? 1 : 0;
  }
  return "nodes=" + std::to_string(nodes.size()) + " launches=" + std::to_string(launches) +
         " to_device=" + std::to_string(to_device) + " to_host=" + std::to_string(to_host);
}

cudaError_t create_stream(cudaStream_t* stream, bool blocking) {
  *stream = new CUstream_st;
  (*stream)->state->blocking = blocking;
  add_stream(*stream);
  track("streams", *stream);
  return cudaSuccess;
}

cudaError_t create_event(cudaEvent_t* event, unsigned flags) {
  constexpr unsigned kKnown = cudaEventBlockingSync | cudaEventDisableTiming;
  if (flags & ~kKnown) return remember(cudaErrorInvalidValue);
  *event = new CUevent_st;
  (*event)->with_timing = !(flags & cudaEventDisableTiming);
  track("events", *event);
  return cudaSuccess;
}

bool can_be_timed(cudaEvent_t event) {
  return is_alive("events", event) && event->with_timing && event->recorded;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  CUDART_CALL();
  return create_stream(stream, true);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  CUDART_CALL();
  if (flags != cudaStreamDefault && flags != cudaStreamNonBlocking) return remember(cudaErrorInvalidValue);
  return create_stream(stream, flags != cudaStreamNonBlocking);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  CUDART_DESTROY_CALL();
  if (!untrack("streams", stream)) return remember(cudaErrorInvalidResourceHandle);
  remove_stream(stream);
  delete stream;
  return remember(call_status);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  CUDART_WAITING_CALL();
  StreamState* state = find_stream(stream);
  if (!state) return remember(cudaErrorInvalidResourceHandle);
  if (is_capturing()) return refuse_in_capture();
  drain(*state);
  return cudaSuccess;
}

// Says of pending work that it is not done, and has it done for the next time.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  CUDART_WAITING_CALL();
  StreamState* state = find_stream(stream);
  if (!state) return remember(cudaErrorInvalidResourceHandle);
  if (is_capturing()) return refuse_in_capture();
  if (state->queue.empty()) return cudaSuccess;
  drain(*state);
  return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize() {
  CUDART_WAITING_CALL();
  if (is_capturing()) return refuse_in_capture();
  drain_all();
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  CUDART_CALL();
  StreamState* state = find_stream(stream);
  if (!state || !is_alive("events", event)) return remember(cudaErrorInvalidResourceHandle);
  if (!event->captured) {
    if (state->capturing || state->origin) return refuse_in_capture(cudaErrorStreamCaptureIsolation);
    state->wait_for.push_back(event->mark);
    return cudaSuccess;
  }
  StreamState* const recorded = event->mark.stream.get();
  StreamState* const origin = recorded->origin ? recorded->origin : recorded;
  if (!origin->capturing) return remember(cudaErrorCapturedEvent);
  if (state == origin) {
    recorded->joined = recorded->joined || event->mark.position == recorded->given;
  } else if (state->capturing || (state->origin && state->origin != origin)) {
    return refuse_in_capture(cudaErrorStreamCaptureMerge);
  } else {
    state->origin = origin;
  }
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  CUDART_CALL();
  return create_event(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  CUDART_CALL();
  return create_event(event, flags);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  CUDART_DESTROY_CALL();
  if (!untrack("events", event)) return remember(cudaErrorInvalidResourceHandle);
  delete event;
  return remember(call_status);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  CUDART_CALL();
  if (!is_alive("events", event) || !find_stream(stream)) return remember(cudaErrorInvalidResourceHandle);
  const auto state = share_stream(stream);
  event->recorded = true;
  event->captured = state->capturing || state->origin;
  if (event->captured) {  // orders other streams of the capture, and is no node of the graph
    event->mark = {state, state->given};
    return cudaSuccess;
  }
  event->mark = {state, state->enqueued + 1};
  event->milliseconds = std::make_shared<double>(0.0);
  // By pointer and not by event: that may be destroyed or recorded again before the device gets here.
  return enqueue(stream, {WorkKind::library, "event", {}, [time = event->milliseconds, state] {
                            *time = now_in_milliseconds() + state->milliseconds;
                          }});
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  CUDART_WAITING_CALL();
  if (!is_alive("events", event)) return remember(cudaErrorInvalidResourceHandle);
  if (is_capturing()) return refuse_in_capture();
  if (event->captured) return remember(cudaErrorCapturedEvent);
  run_until(event->mark);
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  CUDART_CALL();
  if (!can_be_timed(from) || !can_be_timed(to)) return remember(cudaErrorInvalidResourceHandle);
  if (from->captured || to->captured) return remember(cudaErrorCapturedEvent);
  if (!from->mark.reached() || !to->mark.reached()) return remember(cudaErrorNotReady);
  *milliseconds = static_cast<float>(*to->milliseconds - *from->milliseconds);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  CUDART_CALL();
  StreamState* state = find_stream(stream);
  if (!state) return remember(cudaErrorInvalidResourceHandle);
  if (state == find_stream(nullptr)) return remember(cudaErrorStreamCaptureUnsupported);
  if (state->capturing) return remember(cudaErrorIllegalState);
  state->capturing = true;
  state->capturer = mode == cudaStreamCaptureModeThreadLocal ? std::this_thread::get_id() : std::thread::id();
  state->capture_broken = false;
  state->captured.clear();
  return cudaSuccess;
}

// Ends the capture in any case.
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  CUDART_DESTROY_CALL();
  StreamState* state = find_stream(stream);
  *graph = nullptr;
  if (!state) return remember(cudaErrorInvalidResourceHandle);
  if (!state->capturing) return remember(cudaErrorIllegalState);
  state->capturing = false;
  if (leave_capture(*state)) return remember(cudaErrorStreamCaptureUnjoined);
  std::vector<Work> nodes = std::move(state->captured);
  if (state->capture_broken) return remember(cudaErrorStreamCaptureInvalidated);
  if (call_status != cudaSuccess) return remember(call_status);
  *graph = new CUgraph_st{std::move(nodes)};
  track("graphs", *graph);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  CUDART_CALL(is_alive("graphs", graph) ? summary(graph->nodes) : std::string());
  if (!is_alive("graphs", graph)) return remember(cudaErrorInvalidValue);
  *exec = new CUgraphExec_st{graph->nodes};
  track("executable graphs", *exec);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  CUDART_CALL(is_alive("executable graphs", exec) ? summary(exec->nodes) : std::string());
  if (!is_alive("executable graphs", exec)) return remember(cudaErrorInvalidValue);
  for (const Work& node : exec->nodes) {
    if (const cudaError_t status = enqueue(stream, node); status != cudaSuccess) return status;
  }
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  CUDART_CALL();
  if (!is_alive("graphs", graph) || !count) return remember(cudaErrorInvalidValue);
  if (!nodes) {
    *count = graph->nodes.size();
    return cudaSuccess;
  }
  *count = std::min(*count, graph->nodes.size());
  for (std::size_t i = 0; i < *count; ++i) nodes[i] = reinterpret_cast<cudaGraphNode_t>(&graph->nodes[i]);
  return cudaSuccess;
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  CUDART_CALL();
  if (!node || !type) return remember(cudaErrorInvalidValue);
  switch (reinterpret_cast<const Work*>(node)->kind) {
    case WorkKind::kernel:
    case WorkKind::library:
      *type = cudaGraphNodeTypeKernel;
      break;
    case WorkKind::copy_to_device:
    case WorkKind::copy_to_host:
      *type = cudaGraphNodeTypeMemcpy;
      break;
    default:
      *type = cudaGraphNodeTypeMemset;
  }
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  CUDART_DESTROY_CALL();
  if (!untrack("graphs", graph)) return remember(cudaErrorInvalidValue);
  delete graph;
  return remember(call_status);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  CUDART_DESTROY_CALL();
  if (!untrack("executable graphs", exec)) return remember(cudaErrorInvalidValue);
  delete exec;
  return remember(call_status);
}

}  // extern "C"
