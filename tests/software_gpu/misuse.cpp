// One planted bug a run, each of a kind that a GPU would suffer in silence or only sometimes.
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

namespace {

constexpr std::size_t kBytes = 1000;

void* allocate(std::size_t bytes = kBytes) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes) != cudaSuccess) std::puts("cudaMalloc failed");
  return memory;
}

cudaStream_t make_stream() {
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  return stream;
}

void touch_on_the_host() { std::printf("%d\n", *static_cast<volatile char*>(allocate())); }

void copy_too_much() {
  static std::array<char, kBytes + 1> host{};
  cudaMemcpyAsync(allocate(), host.data(), host.size(), cudaMemcpyHostToDevice, nullptr);
}

void use_after_free() {
  void* memory = allocate();
  cudaFree(memory);
  cudaMemsetAsync(memory, 0, kBytes, nullptr);
}

void free_below_pending_work() {
  void* memory = allocate();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  const cudaStream_t stream = make_stream();
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  cudaMemsetAsync(memory, 0, kBytes, stream);
  cudaStreamEndCapture(stream, &graph);
  cudaGraphInstantiate(&exec, graph, 0);
  cudaFree(memory);
  cudaGraphLaunch(exec, stream);
}

void leak() { allocate(); }

// Prints what a copy that nobody waited for has brought so far.
void read_too_early() {
  void* memory = allocate(sizeof(int));
  static int value = 42;
  const cudaStream_t stream = make_stream();
  cudaMemcpyAsync(memory, &value, sizeof value, cudaMemcpyHostToDevice, stream);
  static int result = -1;
  cudaMemcpyAsync(&result, memory, sizeof result, cudaMemcpyDeviceToHost, stream);
  std::printf("early %d\n", result);
  cudaStreamSynchronize(stream);
  std::printf("late %d\n", result);
  cudaFree(memory);
  cudaStreamDestroy(stream);
}

// Two streams that an event orders, and the legacy stream that a blocking one waits for.
void order_streams() {
  constexpr int kRounds = 20;  // the order is drawn at random
  void* memory = allocate(sizeof(int));
  const cudaStream_t first = make_stream();
  const cudaStream_t second = make_stream();
  cudaStream_t blocking = nullptr;
  cudaStreamCreate(&blocking);
  cudaEvent_t event = nullptr;
  cudaEventCreate(&event);
  int right = 0;
  for (int round = 0; round < kRounds; ++round) {
    cudaMemsetAsync(memory, 1, sizeof(int), first);
    cudaEventRecord(event, first);
    cudaStreamWaitEvent(second, event, 0);
    cudaMemsetAsync(memory, 2, sizeof(int), second);
    cudaEventRecord(event, second);
    cudaEventSynchronize(event);
    cudaMemset(memory, 3, sizeof(int));
    int value = 0;
    cudaMemcpyAsync(&value, memory, sizeof value, cudaMemcpyDeviceToHost, blocking);
    cudaStreamSynchronize(blocking);
    right += value == 0x03030303 ? 1 : 0;
  }
  std::printf("ordered %d of %d\n", right, kRounds);
  // Without an event, either order is as good.
  int swapped = 0;
  for (int round = 0; round < kRounds; ++round) {
    cudaMemsetAsync(memory, 1, sizeof(int), first);
    cudaMemsetAsync(memory, 2, sizeof(int), second);
    cudaDeviceSynchronize();
    int value = 0;
    cudaMemcpy(&value, memory, sizeof value, cudaMemcpyDeviceToHost);
    swapped += value == 0x01010101 ? 1 : 0;
  }
  std::printf("unordered %s\n", swapped > 0 && swapped < kRounds ? "both ways" : "one way");
  cudaEventDestroy(event);
  for (const cudaStream_t stream : {first, second, blocking}) cudaStreamDestroy(stream);
  cudaFree(memory);
}

void read_fresh_memory() {
  void* memory = allocate(sizeof(float));
  float value = 0.0f;
  cudaMemcpy(&value, memory, sizeof value, cudaMemcpyDeviceToHost);
  std::printf("fresh %f\n", static_cast<double>(value));
  cudaFree(memory);
}

// A second stream drawn into a capture: joined again, left alone, and joined before its last work.
void fork_a_capture() {
  void* memory = allocate();
  const cudaStream_t stream = make_stream(), branch = make_stream();
  cudaEvent_t event = nullptr;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  const auto order = [&](cudaStream_t earlier, cudaStream_t later) {
    cudaEventRecord(event, earlier);
    cudaStreamWaitEvent(later, event, 0);
  };
  for (const std::string ending : {"joined", "left", "too early"}) {
    cudaGraph_t graph = nullptr;
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    cudaMemsetAsync(memory, 0, kBytes, stream);
    order(stream, branch);
    cudaMemsetAsync(memory, 1, kBytes, branch);
    if (ending != "left") order(branch, stream);
    if (ending == "too early") cudaMemsetAsync(memory, 2, kBytes, branch);
    const cudaError_t status = cudaStreamEndCapture(stream, &graph);
    std::size_t nodes = 0;
    if (graph) cudaGraphGetNodes(graph, nullptr, &nodes);
    std::printf("%s %d, %zu nodes\n", ending.c_str(), status, nodes);
    if (graph) cudaGraphDestroy(graph);
  }
  cudaEventDestroy(event);
  cudaStreamDestroy(branch);
  cudaStreamDestroy(stream);
  cudaFree(memory);
}

void allocate_in_capture() {
  const cudaStream_t stream = make_stream();
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  void* memory = nullptr;
  std::printf("malloc %d\n", cudaMalloc(&memory, kBytes));
  cudaGraph_t graph = nullptr;
  std::printf("end %d\n", cudaStreamEndCapture(stream, &graph));
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  std::printf("synchronize %d\n", cudaStreamSynchronize(stream));
  std::printf("end %d\n", cudaStreamEndCapture(stream, &graph));
  cudaStreamDestroy(stream);
}

// What is wrong with how two events are used, and at last what is right.
void time_with_events() {
  const cudaStream_t stream = make_stream();
  void* memory = allocate();
  cudaEvent_t untimed = nullptr, from = nullptr, to = nullptr;
  cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming);
  cudaEventCreate(&from);
  cudaEventCreate(&to);
  cudaEvent_t unknown = nullptr;
  std::printf("flags %d\n", cudaEventCreateWithFlags(&unknown, 0x80));
  float milliseconds = -1.0f;
  std::printf("unrecorded %d\n", cudaEventElapsedTime(&milliseconds, from, to));
  cudaEventRecord(untimed, stream);
  cudaEventRecord(from, stream);
  cudaMemsetAsync(memory, 1, kBytes, stream);
  cudaEventRecord(to, stream);
  std::printf("not reached %d\n", cudaEventElapsedTime(&milliseconds, from, to));
  cudaEventSynchronize(to);
  std::printf("untimed %d\n", cudaEventElapsedTime(&milliseconds, untimed, to));
  const cudaError_t status = cudaEventElapsedTime(&milliseconds, from, to);
  std::printf("timed %d %s\n", status, milliseconds >= 0.0f ? "forwards" : "backwards");

  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  cudaEventRecord(from, stream);
  std::printf("wait in capture %d\n", cudaEventSynchronize(to));
  cudaStreamEndCapture(stream, &graph);
  std::printf("captured %d %d\n", cudaEventSynchronize(from), cudaEventElapsedTime(&milliseconds, from, to));
  for (const cudaEvent_t event : {untimed, from, to}) cudaEventDestroy(event);
  cudaFree(memory);
  cudaStreamDestroy(stream);
}

void leak_event() {
  cudaEvent_t event = nullptr;
  cudaEventCreate(&event);
}

cudnnStatus_t set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                  cudnnBackendAttributeType_t type, std::int64_t count, const void* values) {
  return cudnnBackendSetAttribute(d, name, type, count, values);
}

void bad_descriptor() {
  cudnnBackendDescriptor_t d = nullptr;
  cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &d);
  const std::int64_t id = 1;
  const std::int64_t dims[] = {1, 4, 3, 3};
  const std::int64_t nchw[] = {36, 9, 3, 1};
  const std::int64_t alignment = 16;
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::printf("wrong type %d\n", set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_FLOAT, 1, &id));
  std::printf("wrong count %d\n", set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 3, dims));
  std::printf("wrong name %d\n", set(d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_INT64, 1, &id));
  std::printf("incomplete %d\n", cudnnBackendFinalize(d));
  set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
  set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
  set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, nchw);
  set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
  std::printf("layout %d\n", cudnnBackendFinalize(d));
  cudnnBackendDestroyDescriptor(d);
}

struct Bug {
  const char* name;
  void (*run)();
};

constexpr Bug kBugs[] = {{"touch_on_the_host", touch_on_the_host},
                         {"copy_too_much", copy_too_much},
                         {"use_after_free", use_after_free},
                         {"free_below_pending_work", free_below_pending_work},
                         {"leak", leak},
                         {"read_too_early", read_too_early},
                         {"order_streams", order_streams},
                         {"read_fresh_memory", read_fresh_memory},
                         {"allocate_in_capture", allocate_in_capture},
                         {"fork_a_capture", fork_a_capture},
                         {"time_with_events", time_with_events},
                         {"leak_event", leak_event},
                         {"bad_descriptor", bad_descriptor}};

}  // namespace

int main(int argc, char** argv) {
  for (const Bug& bug : kBugs) {
    if (argc == 2 && std::string(argv[1]) == bug.name) {
      bug.run();
      return 0;
    }
  }
  return 2;
}
