#include "engine/backend/cuda/context.h"

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
  graph::check(cudnnCreate(&handle), "cudnnCreate");
  CudnnHandle owner(handle);
  graph::check(cudnnSetStream(handle, stream), "cudnnSetStream");
  return owner;
}

CublasHandle make_cublas() {
  cublasLtHandle_t handle = nullptr;
  CONVOY_CUBLAS(cublasLtCreate(&handle));
  return CublasHandle(handle);
}

graph::Policy policy_of(const CudaOptions& options) {
  graph::Policy policy;
  policy.deterministic = options.deterministic;
  policy.precision = options.precision == CudaPrecision::fp32   ? graph::Precision::fp32
                     : options.precision == CudaPrecision::tf32 ? graph::Precision::tf32
                                                                : graph::Precision::bf16;
  return policy;
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
      planner_(graph::describe_device(cudnn_.get()), policy_of(options), options.plan_cache) {}

Context::~Context() {
  for (const PendingPlan& plan : plans_) plan.wait();  // they use the planner
}

std::shared_ptr<DeviceTensor> Context::make_tensor(const Shape& shape, Storage storage) const {
  const auto bytes = static_cast<std::size_t>(shape.count()) * bytes_of(storage);
  return std::make_shared<DeviceTensor>(shape, storage, std::make_shared<const Buffer>(bytes));
}

Variable Context::make_activation(const Shape& shape, bool with_gradient) const {
  return {make_tensor(shape, activation()), with_gradient ? make_tensor(shape, activation()) : nullptr};
}

PendingPlan Context::plan(graph::Graph graph) {
  plans_.push_back(std::async(std::launch::async, [this, graph = std::move(graph)] {
                     return planner_.try_plan(graph);
                   }).share());
  return plans_.back();
}

void Context::reserve_workspace(std::int64_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

void* Context::workspace() {
  const auto bytes = static_cast<std::size_t>(workspace_bytes_);
  if (workspaces_.empty() || workspaces_.back().bytes() < bytes) workspaces_.emplace_back(bytes);
  return workspaces_.back().data();
}

std::vector<graph::PlanInfo> Context::planned() const {
  std::vector<graph::PlanInfo> infos;
  for (const PendingPlan& pending : plans_) {
    if (const auto& plan = pending.get()) infos.push_back(plan->info);
  }
  return infos;
}

GraphOperation::GraphOperation(Context& context, graph::Graph graph, std::vector<graph::Binding> bindings)
    : context_(context),
      no_plan_(context.planner().no_plan(graph)),
      plan_(context.plan(std::move(graph))),
      bindings_(std::move(bindings)) {}

bool GraphOperation::available() const { return plan_.get().has_value(); }

void GraphOperation::execute() {
  if (!executable_) {
    const std::optional<graph::Plan>& plan = plan_.get();
    if (!plan) throw Error(no_plan_);
    context_.reserve_workspace(plan->info.workspace);
    executable_.emplace(*plan, context_.cudnn(), bindings_, context_.workspace());
  }
  executable_->execute();
}

}  // namespace convoy::cuda
