#include "engine/backend/cuda/runtime/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "engine/backend/cuda/group/device_communicator.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

CudnnHandle make_cudnn(cudaStream_t stream) {
  cudnnHandle_t handle = nullptr;
  dnn::check(cudnnCreate(&handle), "cudnnCreate");
  CudnnHandle owner(handle);
  dnn::check(cudnnSetStream(handle, stream), "cudnnSetStream");
  return owner;
}

CublasHandle make_cublas() {
  cublasLtHandle_t handle = nullptr;
  CONVOY_CUBLAS(cublasLtCreate(&handle));
  return CublasHandle(handle);
}

// For threads, which begin without a device: some of cuDNN's engines ask for its context as they are planned.
std::function<void()> entering_device() {
  int device = 0;
  CONVOY_CUDA(cudaGetDevice(&device));
  return [device] { CONVOY_CUDA(cudaSetDevice(device)); };
}

// The one asked for, else PyTorch's default. cuDNN has no tensor-core engines for TF32 and bf16 on a GPU
// older than Ampere.
DeviceOptions with_precision(DeviceOptions options) {
  const int sm = device_architecture();
  const bool ampere = sm >= dnn::kAmpere;
  if (!options.precision) options.precision = ampere ? Precision::tf32 : Precision::fp32;
  if (options.precision == Precision::fp32 || ampere) return options;
  int device = 0;
  cudaDeviceProp properties{};
  CONVOY_CUDA(cudaGetDevice(&device));
  CONVOY_CUDA(cudaGetDeviceProperties(&properties, device));
  throw Error(fmt::format("{} needs a GPU of sm_{} (Ampere) or newer, {} is sm_{}: take fp32",
                          name_of(*options.precision), dnn::kAmpere, properties.name, sm));
}

}  // namespace

void check_cublas(cublasStatus_t status, const char* call, std::source_location where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(
      fmt::format("{}: {} ({}:{})", call, cublasLtGetStatusString(status), where.file_name(), where.line()));
}

int device_architecture() {
  int device = 0, major = 0, minor = 0;
  CONVOY_CUDA(cudaGetDevice(&device));
  CONVOY_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  CONVOY_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return 10 * major + minor;
}

Context::Context(const DeviceOptions& options)
    : options_(with_precision(options)),
      stream_(make_own_stream()),
      group_(group_or_alone(options.group)),
      cudnn_(make_cudnn(stream_.get())),
      cublas_(make_cublas()),
      plan_store_(dnn::describe_device(cudnn_.get()), options_, entering_device()) {
  if (group_->size() == 1) return;
  group_stream_ = make_own_stream();
  devices_ = join_devices(*group_);
  watch_ = std::make_unique<WaitWatch>(stream_.get(), [this](auto waited) { devices_->check(waited); });
  if (!group_->place().meeting.empty()) {
    launched_ =
        std::exchange(group_, std::make_shared<DeviceCommunicator>(group_->place(), *devices_, stream()));
  }
}

std::shared_ptr<DeviceTensor> Context::make_tensor(const Shape& shape, DType storage) const {
  const auto bytes = static_cast<std::size_t>(shape.count()) * bytes_of(storage);
  return std::make_shared<DeviceTensor>(shape, storage, std::make_shared<const Buffer>(bytes));
}

Variable Context::make_activation(const Shape& shape, bool with_gradient) const {
  return {make_tensor(shape, activation()), with_gradient ? make_tensor(shape, activation()) : nullptr};
}

std::int64_t Context::reserve_workspace(std::int64_t bytes) {
  reserved_bytes_ = std::max(reserved_bytes_, bytes);
  return prepared_;
}

void Context::prepare() {
  const dnn::Queue queue{cudnn(), stream()};
  plan_store_.choose(queue);
  const auto wanted = static_cast<std::size_t>(std::max(reserved_bytes_, plan_store_.largest_workspace()));
  if (workspaces_.empty() || workspaces_.back().bytes() < wanted) workspaces_.emplace_back(wanted);
  plan_store_.bind(queue, workspaces_.back().data());
  ++prepared_;
  if (decisions_.empty()) return;
  while (!decisions_.empty()) {  // what throws is left for the next prepare()
    if (const auto decision = decisions_.front().lock()) decision->decide();
    decisions_.erase(decisions_.begin());
  }
  plan_store_.leave_out_unused();  // of the ways that were not taken
}

void* Context::workspace(std::int64_t reservation, const std::string& user) const {
  if (reservation >= prepared_) throw dnn::not_prepared(user);
  return workspaces_.back().data();
}

std::int64_t Context::workspace_bytes() const {
  std::size_t bytes = 0;
  for (const Buffer& workspace : workspaces_) bytes += workspace.bytes();
  return static_cast<std::int64_t>(bytes);
}

std::vector<PlanRow> Context::plans() const {
  std::vector<PlanRow> rows = plan_store_.rows();
  rows.insert(rows.end(), rows_.begin(), rows_.end());
  return rows;
}

void Context::add_row(const PlanRow& row) {
  const auto same = [&](const PlanRow& other) {
    return other.operation == row.operation && other.realised_by == row.realised_by;
  };
  if (std::ranges::none_of(rows_, same)) rows_.push_back(row);
}

}  // namespace convoy::cuda
