#include "tests/software_gpu/cudnn/engines.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/software_gpu/gpu.h"

namespace software_gpu {
namespace {

/// Whether SOFTWARE_GPU_CUDNN_LACKS, a list with commas, has `what`.
bool lacks(const std::string& what) {
  const char* text = std::getenv("SOFTWARE_GPU_CUDNN_LACKS");
  std::istringstream in(text ? text : "");
  for (std::string word; std::getline(in, word, ',');) {
    if (word == what) return true;
  }
  return false;
}

bool has(const Program& program, cudnnBackendDescriptorType_t type) {
  return std::ranges::any_of(program.operations, [&](const OperationInfo& op) { return op.type == type; });
}

bool is_convolution(const OperationInfo& op) {
  return op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ||
         op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ||
         op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
}

bool is_norm(const OperationInfo& op) {
  return op.type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR ||
         op.type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR;
}

// All operands but `except` in one type: no engine takes bf16 and gives fp32.
bool one_type(const Program& p, const OperationInfo& op) {
  const cudnnDataType_t type = p.tensors.at(op.operands.begin()->second).type;
  return std::ranges::all_of(op.operands, [&](const auto& operand) {
    const TensorInfo& t = p.tensors.at(operand.second);
    return t.type == type || t.is_virtual;
  });
}

// Vectors of four channels in fp32, of eight in bf16; inference only within the fused backward; nothing
// before sm_80.
bool norm_supported(const Program& p, const OperationInfo& op) {
  if (architecture() < 80) return false;
  const TensorInfo& x = p.tensor(op, "x");
  const std::int64_t lanes = x.type == CUDNN_DATA_FLOAT ? 4 : 8;
  if (x.dims[1] % lanes != 0) return false;
  const bool inference =
      op.type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR && op.mode == CUDNN_NORM_FWD_INFERENCE;
  return !inference || p.operations.back().type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR;
}

bool supported(const Program& p) {
  return std::ranges::all_of(p.operations, [&](const OperationInfo& op) {
    if (is_convolution(op)) return one_type(p, op);
    if (is_norm(op)) return norm_supported(p, op);
    // The real library has no ReLU for a single channel.
    return op.type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR || op.mode != CUDNN_POINTWISE_RELU_FWD ||
           p.tensor(op, "x").dims[1] > 1;
  });
}

constexpr std::int64_t kNaive = 0;  // of convolutions: what the real library has under this number

const char* const kDeviceKeys[] = {"deviceVer",
                                   "deviceName",
                                   "multiProcessorCount",
                                   "warpSize",
                                   "maxSharedMemoryPerBlock",
                                   "maxSharedMemoryPerBlockOptin",
                                   "reservedSharedMemoryPerBlock",
                                   "maxRegistersPerSM",
                                   "maxCtasPerSM",
                                   "maxThreadsPerBlock",
                                   "maxThreadsPerSM",
                                   "regsPerBlock",
                                   "totalGlobalMem",
                                   "smClockRateKHz",
                                   "memClockRateKHz",
                                   "l2CacheSize",
                                   "maxBlockSize",
                                   "maxGridSize",
                                   "supportCoopLaunch",
                                   "pciDeviceId",
                                   "isTccDriver",
                                   "cudaDeviceId",
                                   "driverVer"};

}  // namespace

std::vector<Engine> engines_for(const Program& program) {
  if (!supported(program)) return {};
  if (std::ranges::none_of(program.operations, is_convolution)) {
    // The real library compiles all of these at run time.
    if (lacks("nvrtc")) return {};
    if (lacks("pool_backward") && has(program, CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR)) return {};
    return {{.index = 10,
             .workspace = 2048,
             .numerical = {},
             .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION}},
            {.index = 11, .workspace = 4000}};
  }
  if (has(program, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR)) {
    if (lacks("wgrad")) return {};
    if (lacks("fast_wgrad")) return {{.index = kNaive, .workspace = 0}};
  }
  return {{.index = 4, .workspace = 0, .finalizes = false},
          {.index = kNaive, .workspace = 0},  // and ranked before better ones, as the real library does
          {.index = 7,
           .workspace = 4096,
           .numerical = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE},
           .rounds_to_tf32 = true},
          {.index = 1, .workspace = 0, .numerical = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}},
          {.index = 3, .workspace = std::int64_t{1} << 40},
          {.index = 2, .workspace = 6000},
          {.index = 5, .workspace = 512}};
}

double milliseconds_of(std::int64_t engine) {
  const char* text = std::getenv("SOFTWARE_GPU_ENGINE_MS");
  std::istringstream in(text ? text : "");
  std::int64_t index = 0;
  double milliseconds = 0.0;
  for (char separator = 0; in >> index >> separator >> milliseconds; in >> separator) {
    if (index == engine) return milliseconds;
  }
  return engine == kNaive ? 100.0 : 0.0;
}

std::string device_json() {
  nlohmann::json device;
  for (const char* key : kDeviceKeys) device[key] = 1;
  device["deviceVer"] = 10 * architecture();
  device["deviceName"] = "software GPU (tests only)";
  return device.dump();
}

std::string check_device(const std::string& json) {
  const auto device = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!device.is_object()) return "not a JSON object";
  for (const char* key : kDeviceKeys) {
    if (!device.contains(key)) return std::string("the key ") + key + " is missing";
  }
  return {};
}

}  // namespace software_gpu
