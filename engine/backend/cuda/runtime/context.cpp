#include "engine/backend/cuda/runtime/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

Stream make_stream() {
  cudaStream_t stream = nullptr;
  // Not ordered with the legacy default stream, which may not be touched while a graph is captured.
  CONVOY_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

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

}  // namespace

void check_cublas(cublasStatus_t status, const char* call, std::source_location where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(
      fmt::format("{}: {} ({}:{})", call, cublasLtGetStatusString(status), where.file_name(), where.line()));
}

Context::Context(const CudaOptions& options)
    : options_(options),
      stream_(make_stream()),
      cudnn_(make_cudnn(stream_.get())),
      cublas_(make_cublas()),
      planning_(options, cudnn_.get(), stream_.get()) {}

std::shared_ptr<DeviceTensor> Context::make_tensor(const Shape& shape, DType storage) const {
  const auto bytes = static_cast<std::size_t>(shape.count()) * bytes_of(storage);
  return std::make_shared<DeviceTensor>(shape, storage, std::make_shared<const Buffer>(bytes));
}

Variable Context::make_activation(const Shape& shape, bool with_gradient) const {
  return {make_tensor(shape, activation()), with_gradient ? make_tensor(shape, activation()) : nullptr};
}

void Context::reserve_workspace(std::int64_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

void* Context::workspace() {
  const auto wanted = [&] { return static_cast<std::size_t>(workspace_bytes_); };
  if (workspaces_.empty() || workspaces_.back().bytes() < wanted()) {
    reserve_workspace(planning_.largest_workspace());  // what is planned will be executed: one buffer for all
    workspaces_.emplace_back(wanted());
  }
  return workspaces_.back().data();
}

std::int64_t Context::workspace_bytes() const {
  std::size_t bytes = 0;
  for (const Buffer& workspace : workspaces_) bytes += workspace.bytes();
  return static_cast<std::int64_t>(bytes);
}

std::vector<PlanRow> Context::plans() const {
  std::vector<PlanRow> rows = planning_.rows();
  rows.insert(rows.end(), products_.begin(), products_.end());
  return rows;
}

void Context::add_product(const PlanRow& product) {
  const auto same = [&](const PlanRow& row) {
    return row.operation == product.operation && row.realised_by == product.realised_by;
  };
  if (std::ranges::none_of(products_, same)) products_.push_back(product);  // one row, however many layers
}

GraphOperation::GraphOperation(Context& context, dnn::OperationGraph graph,
                               std::vector<dnn::Binding> bindings)
    : context_(context), plan_(context.plan(std::move(graph))), bindings_(std::move(bindings)) {}

bool GraphOperation::available() const { return plan_->get().has_value(); }

void GraphOperation::execute() {
  if (!executable_) {
    const std::optional<dnn::Plan>& plan = plan_->get();
    if (!plan) throw Error(plan_->no_plan());
    context_.reserve_workspace(plan->info.workspace);
    try {
      executable_.emplace(*plan, context_.cudnn(), bindings_, context_.workspace());
    } catch (const dnn::CudnnError& error) {
      if (!plan->info.from_cache) throw;
      throw Error(
          fmt::format("{}: the plan is from the cache, --no-plan-cache does without it", error.what()));
    }
  }
  executable_->execute();
}

}  // namespace convoy::cuda
