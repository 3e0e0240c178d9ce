#include "engine/backend/cuda/cuda.h"

#include <fmt/format.h>

#include "engine/backend/cuda/context.h"
#include "engine/backend/cuda/graph/planner.h"
#include "engine/backend/cuda/operations.h"
#include "engine/backend/cuda/parameters.h"
#include "engine/backend/cuda/recording.h"
#include "engine/core/error.h"
#include "kernels/cuda_error.h"
#include "kernels/metrics.h"

namespace convoy {
namespace {

constexpr std::size_t kOldestCudnn = 90800;  // plans are made from a described device since then

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const CudaOptions& options) : context_(options) {}
  ~CudaBackend() override { cudaStreamSynchronize(context_.stream()); }

  std::string name() const override { return "cuda"; }
  std::string description() const override;

  // What products are rounded to: of tf32 and bf16 it is the mantissa of their factors.
  double epsilon() const override {
    switch (context_.options().precision) {
      case CudaPrecision::tf32:
        return 0x1p-10;
      case CudaPrecision::bf16:
        return 0x1p-7;
      case CudaPrecision::fp32:
        break;
    }
    return 0x1p-23;
  }

  // Vectors are parameters and statistics, which stay fp32; everything else is an activation.
  TensorPtr make_tensor(const Shape& shape, DType dtype) override {
    if (dtype == DType::int64) throw UsageError("the CUDA backend has no int64 tensors");
    if (dtype == DType::int32) return context_.make_tensor(shape, cuda::Storage::int32);
    return context_.make_tensor(shape, shape.rank() < 2 ? cuda::Storage::float32 : context_.activation());
  }

  std::unique_ptr<ParameterArena> make_parameters(std::span<const Shape> shapes,
                                                  bool with_gradients) override {
    return std::make_unique<cuda::DeviceParameters>(context_, shapes, with_gradients);
  }

  std::vector<double> read(const Tensor& tensor) const override {
    return cuda::device(tensor).read(context_.stream());
  }
  void write(Tensor& tensor, std::span<const double> values) override {
    cuda::device(tensor).write(values, context_.stream());
  }

  OperationPtr make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x, const Variable& weight,
                           const Variable& bias) override {
    require_weighted("Conv2d", x, weight, bias);
    return cuda::make_conv2d(context_, layer, fuse_relu, {x, weight, bias});
  }
  OperationPtr make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                               const BatchNormTensors& tensors) override {
    require_weighted("BatchNorm2d", x, tensors.weight, tensors.bias);
    return cuda::make_batch_norm(context_, layer, fuse_relu, x, tensors);
  }
  OperationPtr make_relu(const Variable& x) override {
    cuda::require_own("ReLU: input", x);
    return cuda::make_relu(context_, x);
  }
  OperationPtr make_max_pool(const MaxPool2d& layer, const Variable& x) override {
    cuda::require_own("MaxPool2d: input", x);
    return cuda::make_pool(context_, pool_window(layer), cuda::graph::Pooling::max, x);
  }
  OperationPtr make_avg_pool(const AvgPool2d& layer, const Variable& x) override {
    using cuda::graph::Pooling;
    cuda::require_own("AvgPool2d: input", x);
    return cuda::make_pool(
        context_, pool_window(layer),
        layer.count_include_pad ? Pooling::average_include_padding : Pooling::average_exclude_padding, x);
  }
  OperationPtr make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                           const Variable& bias) override {
    require_weighted("Linear", x, weight, bias);
    return cuda::make_linear(context_, layer, {x, weight, bias});
  }
  OperationPtr make_dropout(const Dropout& layer, const Variable& x, RandomStream random,
                            const StepCounter& counter) override {
    cuda::require_own("Dropout: input", x);
    return cuda::make_dropout(context_, layer, x, random, counter);
  }
  OperationPtr make_add(const Variable& a, const Variable& b) override {
    cuda::require_own("Add: input", a);
    cuda::require_own("Add: other input", b);
    return cuda::make_add(context_, a, b);
  }
  std::unique_ptr<Fork> make_fork(const Variable& x) override {
    cuda::require_own("Fork: input", x);
    return cuda::make_fork(context_, x);
  }

  OperationPtr make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics) override {
    cuda::require_own("CrossEntropy: logits", logits);
    return cuda::make_cross_entropy(context_, logits, labels, metrics);
  }
  std::unique_ptr<Metrics> make_metrics() override { return cuda::make_metrics(context_); }
  std::unique_ptr<StepCounter> make_counter() override { return cuda::make_counter(context_); }
  std::unique_ptr<ResidentDataset> upload(const Dataset& dataset) override {
    return cuda::upload(context_, dataset);
  }
  OperationPtr make_batch(ResidentDataset& dataset, TensorPtr images, TensorPtr labels,
                          const AugmentationSource& augmentation) override {
    return cuda::make_batch(context_, dataset, images, labels, augmentation);
  }
  std::unique_ptr<Optimizer> make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                            const OptimizerOptions& options) override {
    return cuda::make_optimizer(context_, parameters, counter, options);
  }

  std::unique_ptr<Replay> record(std::function<void()> sequence) override {
    return std::make_unique<cuda::Recording>(context_, std::move(sequence));
  }
  std::int64_t steps_per_launch() const override {
    return context_.options().use_graphs ? context_.options().steps_per_launch : 1;
  }
  void synchronize() override { CONVOY_CUDA(cudaStreamSynchronize(context_.stream())); }

  std::unique_ptr<TimeMark> mark() override { return cuda::make_mark(context_); }
  std::unique_ptr<FiniteCheck> make_finite_check(const StepCounter& counter) override {
    return cuda::make_finite_check(context_, counter);
  }
  MemoryUse memory() const override { return {cuda::allocated_bytes(), context_.workspace_bytes()}; }
  std::vector<PlanRow> plans() const override { return context_.plans(); }

 private:
  static void require_weighted(const std::string& layer, const Variable& x, const Variable& weight,
                               const Variable& bias) {
    cuda::require_own((layer + ": input").c_str(), x);
    cuda::require_own((layer + ": weight").c_str(), weight);
    if (bias.value) cuda::require_own((layer + ": bias").c_str(), bias);
  }

  cuda::Context context_;
};

std::string CudaBackend::description() const {
  int device = 0;
  int major = 0;
  int minor = 0;
  cudaDeviceProp properties{};
  CONVOY_CUDA(cudaGetDevice(&device));
  CONVOY_CUDA(cudaGetDeviceProperties(&properties, device));
  major = properties.major;
  minor = properties.minor;
  const std::size_t version = cudnnGetVersion();
  return fmt::format("{}, sm_{}{}, cuDNN {}.{}.{}", properties.name, major, minor, version / 10000,
                     version / 100 % 100, version % 100);
}

int architecture() {
  int device = 0;
  int major = 0;
  int minor = 0;
  CONVOY_CUDA(cudaGetDevice(&device));
  CONVOY_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  CONVOY_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return 10 * major + minor;
}

std::string architecture_problem() {
  const int sm = architecture();
  if (sm < kOldestCudaArchitecture) {
    return fmt::format("this GPU is sm_{}, Convoy and CUDA 13 need sm_{} (Turing) or newer", sm,
                       kOldestCudaArchitecture);
  }
  switch (const cudaError_t status = kernels::kernels_fit_this_gpu(); status) {
    case cudaSuccess:
      return {};
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
      return fmt::format(
          "this build has kernels for {}, this GPU is sm_{} ({}): configure with "
          "-DCMAKE_CUDA_ARCHITECTURES={} and build again",
          CONVOY_KERNEL_ARCHITECTURES, sm, cudaGetErrorString(status), sm);
    default:
      return fmt::format("CUDA does not start: {}", cudaGetErrorString(status));
  }
}

// cuDNN has no tensor-core engines for them on an older GPU, and cuBLAS no FAST_TF32.
void require_precision(CudaPrecision precision) {
  if (precision == CudaPrecision::fp32) return;
  const int sm = architecture();
  if (sm >= cuda::graph::kAmpere) return;
  int device = 0;
  cudaDeviceProp properties{};
  CONVOY_CUDA(cudaGetDevice(&device));
  CONVOY_CUDA(cudaGetDeviceProperties(&properties, device));
  throw Error(fmt::format("{} needs a GPU of sm_{} (Ampere) or newer, {} is sm_{}: take fp32",
                          precision == CudaPrecision::bf16 ? "bf16" : "tf32", cuda::graph::kAmpere,
                          properties.name, sm));
}

}  // namespace

std::string cuda_backend_missing() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();  // not sticky
  if (status == cudaErrorInsufficientDriver) {
    return "no NVIDIA driver, or one older than this CUDA runtime: install a driver for CUDA 13 (580 or "
           "newer)";
  }
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    return "the NVIDIA driver reports no GPU: see nvidia-smi and CUDA_VISIBLE_DEVICES";
  }
  if (status != cudaSuccess) return fmt::format("CUDA does not start: {}", cudaGetErrorString(status));
  if (cudnnGetVersion() < kOldestCudnn) return "cuDNN is older than 9.8: install libcudnn9-cuda-13";
  try {
    return architecture_problem();
  } catch (const Error& error) {
    return error.what();
  }
}

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
  const std::string missing = cuda_backend_missing();
  if (!missing.empty()) throw Error(missing);
  require_precision(options.precision);
  return std::make_unique<CudaBackend>(options);
}

}  // namespace convoy
