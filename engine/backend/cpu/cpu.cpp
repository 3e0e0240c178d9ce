#include "engine/backend/cpu/cpu.h"

#include <fmt/format.h>
#include <omp.h>

#include <fstream>

#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/backend/host_state.h"

namespace convoy {
namespace {

/// "AMD EPYC 7763", as Linux has it; "CPU" where it does not say (not all architectures do).
std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

/// The widest instruction set that oneDNN uses here; it may be limited by ONEDNN_MAX_CPU_ISA.
std::string instruction_set() {
  using dnnl::cpu_isa;
  switch (dnnl::get_effective_cpu_isa()) {
    case cpu_isa::sse41:
      return "SSE4.1";
    case cpu_isa::avx:
      return "AVX";
    case cpu_isa::avx2:
      return "AVX2";
    case cpu_isa::avx2_vnni:
      return "AVX2 with VNNI";
    case cpu_isa::avx512_core:
      return "AVX-512";
    case cpu_isa::avx512_core_vnni:
      return "AVX-512 with VNNI";
    case cpu_isa::avx512_core_bf16:
      return "AVX-512 with BF16";
    case cpu_isa::avx512_core_amx:
      return "AVX-512 with AMX";
    default:
      return "default instructions";
  }
}

const cpu::CpuTensor& ours(const Tensor& tensor) {
  const auto* const cpu_tensor = dynamic_cast<const cpu::CpuTensor*>(&tensor);
  if (!cpu_tensor) throw UsageError("tensor " + tensor.shape().str() + " was not made by the CPU backend");
  return *cpu_tensor;
}

class CpuBackend final : public Backend {
 public:
  std::string name() const override { return "cpu"; }

  std::string description() const override {
    const dnnl_version_t& version = *dnnl_version();
    return fmt::format("{}, {} threads, oneDNN {}.{}.{} ({})", cpu_model(), omp_get_max_threads(),
                       version.major, version.minor, version.patch, instruction_set());
  }

  double epsilon() const override { return 0x1p-23; }

  TensorPtr make_tensor(const Shape& shape, DType dtype) override {
    if (dtype == DType::int64) throw UsageError("the CPU backend has no int64 tensors");
    return std::make_shared<cpu::CpuTensor>(device_, shape, cpu::plain_layout(shape, dtype), dtype);
  }

  std::unique_ptr<ParameterArena> make_parameters(std::span<const Shape> shapes,
                                                  bool with_gradients) override {
    return std::make_unique<cpu::CpuParameters>(device_, shapes, with_gradients);
  }

  std::vector<double> read(const Tensor& tensor) const override {
    return cpu::read_tensor(device_, ours(tensor));
  }

  void write(Tensor& tensor, std::span<const double> values) override {
    cpu::write_tensor(device_, ours(tensor), values);
  }

  OperationPtr make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x, const Variable& weight,
                           const Variable& bias) override {
    return cpu::make_conv2d(device_, layer, fuse_relu, x, weight, bias);
  }

  OperationPtr make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                               const BatchNormTensors& tensors) override {
    return cpu::make_batch_norm(device_, layer, fuse_relu, x, tensors);
  }

  OperationPtr make_relu(const Variable& x) override { return cpu::make_relu(device_, x); }

  OperationPtr make_max_pool(const MaxPool2d& layer, const Variable& x) override {
    return cpu::make_max_pool(device_, layer, x);
  }

  OperationPtr make_avg_pool(const AvgPool2d& layer, const Variable& x) override {
    return cpu::make_avg_pool(device_, layer, x);
  }

  OperationPtr make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                           const Variable& bias) override {
    return cpu::make_linear(device_, layer, x, weight, bias);
  }

  OperationPtr make_dropout(const Dropout& layer, const Variable& x, RandomStream random,
                            const StepCounter& counter) override {
    return cpu::make_dropout(device_, layer, x, random, counter);
  }

  OperationPtr make_add(const Variable& a, const Variable& b) override {
    return cpu::make_add(device_, a, b);
  }

  std::unique_ptr<Fork> make_fork(const Variable& x) override { return cpu::make_fork(device_, x); }

  OperationPtr make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics) override {
    return cpu::make_cross_entropy(device_, logits, labels, metrics);
  }

  std::unique_ptr<Metrics> make_metrics() override { return cpu::make_metrics(); }
  std::unique_ptr<StepCounter> make_counter() override { return cpu::make_counter(); }
  std::unique_ptr<ResidentDataset> upload(const Dataset& dataset) override { return cpu::upload(dataset); }

  OperationPtr make_batch(ResidentDataset& dataset, TensorPtr images, TensorPtr labels,
                          const AugmentationSource& augmentation) override {
    return cpu::make_batch(dataset, images, labels, augmentation);
  }

  std::unique_ptr<Optimizer> make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                            const OptimizerOptions& options) override {
    return cpu::make_optimizer(parameters, counter, options);
  }

  std::unique_ptr<Replay> record(std::function<void()> sequence) override {
    return std::make_unique<HostReplay>(std::move(sequence));
  }
  std::int64_t steps_per_launch() const override { return 1; }
  void synchronize() override {}  // oneDNN's CPU stream and our loops return when they are done

  std::unique_ptr<TimeMark> mark() override { return std::make_unique<HostMark>(); }
  std::unique_ptr<FiniteCheck> make_finite_check(const StepCounter& counter) override {
    return std::make_unique<HostFiniteCheck>(*this, counter);
  }
  MemoryUse memory() const override { return {}; }
  std::vector<PlanRow> plans() const override { return {}; }

 private:
  mutable cpu::Device device_;  // reading a tensor reorders it, which takes the device
};

}  // namespace

std::string cpu_backend_missing() { return {}; }

std::unique_ptr<Backend> make_cpu_backend() {
  try {
    return std::make_unique<CpuBackend>();
  } catch (const dnnl::error& error) {
    throw Error(fmt::format("cpu: oneDNN does not start: {}", error.what()));
  }
}

}  // namespace convoy
