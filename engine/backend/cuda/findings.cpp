// What `convoy doctor` reports about CUDA. The findings are independent: if one fails, the others are still
// made.
#include "engine/backend/cuda/finding.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <functional>
#include <set>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/dnn/libraries.h"
#include "engine/backend/cuda/dnn/plan_cache.h"
#include "engine/backend/cuda/dnn/planner.h"
#include "kernels/cuda_error.h"
#include "kernels/metrics.h"

namespace convoy {
namespace {

using cuda::dnn::library_version;

std::string cuda_version(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

Finding runtime_finding() {
  int version = 0;
  CONVOY_CUDA(cudaRuntimeGetVersion(&version));
  return {"CUDA runtime", cuda_version(version), ""};
}

/// The advice is cuda_backend_missing(), the same text as in the error with which training fails.
Finding driver_finding() {
  int version = 0;
  CONVOY_CUDA(cudaDriverGetVersion(&version));  // 0 without a driver
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();  // clears the error
  const std::string state = version == 0 ? "none" : fmt::format("for CUDA up to {}", cuda_version(version));
  if (status == cudaErrorInsufficientDriver) {
    return {"CUDA driver", state + (version == 0 ? "" : ", too old") + " (error 35)", cuda_backend_missing()};
  }
  if (status == cudaErrorNoDevice) return {"CUDA driver", state, ""};  // gpu_findings() reports it
  if (status != cudaSuccess) {
    return {"CUDA driver", fmt::format("{}: {}", state, cudaGetErrorString(status)), cuda_backend_missing()};
  }
  return {"CUDA driver", state, ""};
}

Finding cudnn_finding() {
  const std::size_t version = cudnnGetVersion();
  Finding finding{"cuDNN",
                  fmt::format("{} (built with the headers of {})", library_version(version),
                              library_version(CUDNN_VERSION)),
                  ""};
  const std::size_t cudart = cudnnGetCudartVersion();
  finding.advice = cuda::dnn::cudnn_problem();
  if (!finding.advice.empty()) return finding;
  if (version < CUDNN_VERSION) {
    finding.advice = fmt::format("it is older than this build's headers: install {} or newer, or build again",
                                 library_version(CUDNN_VERSION));
  } else if (cudart / 1000 != CUDART_VERSION / 1000) {
    finding.advice = fmt::format("it was made for CUDA {}, this build for {}: install libcudnn9-cuda-{}",
                                 cudart / 1000, CUDART_VERSION / 1000, CUDART_VERSION / 1000);
  }
  return finding;
}

/// cuDNN 9 consists of several libraries. An incomplete upgrade leaves them in different versions.
Finding cudnn_libraries_finding() {
  const std::pair<const char*, cudnnStatus_t> checks[] = {{"cudnn_graph", cudnnGraphVersionCheck()},
                                                          {"cudnn_ops", cudnnOpsVersionCheck()},
                                                          {"cudnn_cnn", cudnnCnnVersionCheck()}};
  std::vector<std::string> wrong;
  for (const auto& [library, status] : checks) {
    if (status != CUDNN_STATUS_SUCCESS) {
      wrong.push_back(fmt::format("lib{}: {}", library, cudnnGetErrorString(status)));
    }
  }
  if (wrong.empty()) return {"cuDNN libraries", "all of one version", ""};
  return {"cuDNN libraries", fmt::format("{}", fmt::join(wrong, ", ")),
          "they are of different versions: keep one installation, see ldconfig -p | grep cudnn and "
          "LD_LIBRARY_PATH"};
}

Finding gpu_finding(int device) {
  cudaDeviceProp properties{};
  CONVOY_CUDA(cudaGetDeviceProperties(&properties, device));
  const int architecture = 10 * properties.major + properties.minor;
  Finding finding{fmt::format("GPU {}", device),
                  fmt::format("{}, sm_{}, {:.1f} GiB", properties.name, architecture,
                              static_cast<double>(properties.totalGlobalMem) / (1 << 30)),
                  ""};
  if (architecture < kOldestCudaArchitecture) {
    finding.state += ", not supported";
    finding.advice = fmt::format(
        "Convoy and CUDA 13 need sm_{} (Turing) or newer: choose another GPU with CUDA_VISIBLE_DEVICES, or "
        "--device cpu",
        kOldestCudaArchitecture);
  } else {
    const bool ampere = architecture >= cuda::dnn::kAmpere;
    finding.state += ampere ? "; fp32, tf32, bf16" : "; fp32 (tf32 and bf16 need sm_80)";
  }
  return finding;
}

std::vector<Finding> gpu_findings() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    return {{"GPUs", "none (error 100)", cuda_backend_missing()}};
  }
  if (status != cudaSuccess) return {{"GPUs", "unknown without a driver", ""}};
  std::vector<Finding> findings = {{"GPUs", fmt::format("{}, the first is used", count), ""}};
  for (int device = 0; device < count; ++device) findings.push_back(gpu_finding(device));
  return findings;
}

/// A build may have no code for this GPU. The advice then names the GPUs that it was compiled for.
Finding kernel_code_finding() {
  const cudaError_t status = kernels::kernels_fit_this_gpu();
  if (status == cudaSuccess) return {"kernels", "compiled for the GPU that is used", ""};
  return {"kernels", cudaGetErrorString(status), cuda_backend_missing()};
}

/// Plans a batch norm with ReLU and a linear layer, for which cuDNN or cuBLAS have no engine on some GPUs.
Finding own_kernels_finding() {
  if (!cuda_backend_missing().empty()) return {"own kernels", "unknown without a usable GPU", ""};
  const auto backend = make_cuda_backend({.plan_cache = default_plan_cache()});
  constexpr std::int64_t kChannels = 8;
  const auto activation = [&](const Shape& shape) {
    return Variable{backend->make_activation(shape), backend->make_activation(shape)};
  };
  const Shape shapes[] = {{kChannels}, {kChannels}, {kChannels, kChannels}, {kChannels}};
  const auto parameters = backend->make_parameters(shapes, /*with_gradients=*/true);
  const auto variables = parameters->variables();
  const BatchNormTensors tensors{variables[0], variables[1],
                                 backend->make_tensor({kChannels}, DType::float32),
                                 backend->make_tensor({kChannels}, DType::float32)};
  const OperationPtr norm = backend->make_batch_norm({.num_features = kChannels}, /*fuse_relu=*/true,
                                                     activation({8, kChannels, 8, 8}), tensors);
  const OperationPtr linear = backend->make_linear({.in_features = kChannels, .out_features = kChannels},
                                                   activation({8, kChannels}), variables[2], variables[3]);
  backend->prepare();
  std::set<std::string> own;
  for (const PlanRow& row : backend->plans()) {
    if (row.realisation != Realisation::own_kernel) continue;
    own.insert(row.operation.substr(0, row.operation.find(" of ")));  // without this probe's shapes
  }
  if (own.empty()) return {"own kernels", "none stand in for cuDNN or cuBLAS", ""};
  return {"own kernels", fmt::format("stand in for {}", fmt::join(own, ", ")), ""};
}

Finding plan_cache_finding() {
  const std::filesystem::path folder = default_plan_cache();
  if (folder.empty()) {
    const bool wanted = std::getenv("CONVOY_CACHE") == nullptr || *std::getenv("CONVOY_CACHE") == '\0';
    return {"plan cache", "none",
            wanted ? "without HOME every start plans anew: set CONVOY_CACHE, or take --plan-cache" : ""};
  }
  const std::string problem = cuda::dnn::PlanCache::problem(folder);
  return {"plan cache", fmt::format("{}, {} plans", folder.string(), cuda::dnn::PlanCache::count(folder)),
          problem, problem.empty() ? Remedy::none : Remedy::another_plan_cache};
}

}  // namespace

std::vector<Finding> cuda_findings() {
  std::vector<Finding> findings = {{"CUDA headers", cuda_version(CUDART_VERSION), ""}};
  const auto add = [&](const char* subject, const std::function<std::vector<Finding>()>& find) {
    try {
      for (Finding& finding : find()) findings.push_back(std::move(finding));
    } catch (const std::exception& error) {
      findings.push_back({subject, "cannot be found out", error.what()});
    }
  };
  const auto add_one = [&](const char* subject, Finding (*find)()) {
    add(subject, [find] { return std::vector<Finding>{find()}; });
  };
  add_one("CUDA runtime", runtime_finding);
  add_one("CUDA driver", driver_finding);
  add_one("cuDNN", cudnn_finding);
  add_one("cuDNN libraries", cudnn_libraries_finding);
  findings.push_back({"cuBLASLt", library_version(cublasLtGetVersion()), ""});
  add("GPUs", gpu_findings);
  add("kernels", [] {
    int count = 0;
    const bool any = cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
    cudaGetLastError();
    return any ? std::vector<Finding>{kernel_code_finding()} : std::vector<Finding>{};
  });
  add_one("own kernels", own_kernels_finding);
  add_one("plan cache", plan_cache_finding);
  return findings;
}

Versions cuda_versions() {
  int driver = 0;
  CONVOY_CUDA(cudaDriverGetVersion(&driver));
  return {{"CUDA", runtime_finding().state},
          {"CUDA driver", fmt::format("for CUDA up to {}", cuda_version(driver))},
          {"cuDNN", library_version(cudnnGetVersion())},
          {"cuBLASLt", library_version(cublasLtGetVersion())}};
}

}  // namespace convoy
