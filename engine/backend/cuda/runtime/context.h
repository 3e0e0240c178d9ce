// One GPU as the backend's operations see it: a stream, the libraries' handles, a workspace, plans.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <memory>
#include <optional>
#include <vector>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/dnn/executable.h"
#include "engine/backend/cuda/dnn/planning.h"
#include "engine/backend/cuda/runtime/memory.h"
#include "engine/backend/cuda/runtime/tensor.h"
#include "engine/core/owner.h"

namespace convoy::cuda {

using Stream = Owner<cudaStream_t, cudaStreamDestroy>;
using CudnnHandle = Owner<cudnnHandle_t, cudnnDestroy>;
using CublasHandle = Owner<cublasLtHandle_t, cublasLtDestroy>;

/// Throws Error with the call and cuBLAS's name of the status unless it is success.
void check_cublas(cublasStatus_t status, const char* call,
                  std::source_location where = std::source_location::current());
#define CONVOY_CUBLAS(call) ::convoy::cuda::check_cublas((call), #call)

class Context {
 public:
  /// Takes the current device. Throws Error, CudaError or CudnnError if it or its libraries cannot be used.
  explicit Context(const CudaOptions& options);

  const CudaOptions& options() const { return options_; }
  cudaStream_t stream() const { return stream_.get(); }
  cudnnHandle_t cudnn() const { return cudnn_.get(); }
  cublasLtHandle_t cublas() const { return cublas_.get(); }

  /// How activations are stored.
  DType activation() const {
    return options_.precision == Precision::bf16 ? DType::bfloat16 : DType::float32;
  }

  /// A zeroed tensor with memory of its own.
  std::shared_ptr<DeviceTensor> make_tensor(const Shape& shape, DType storage) const;

  /// An operation's output, stored as activations are, with a gradient if `with_gradient`.
  Variable make_activation(const Shape& shape, bool with_gradient) const;

  /// Starts to plan, or takes the plan from the cache.
  std::shared_ptr<PlanRequest> plan(dnn::OperationGraph graph) { return planning_.request(std::move(graph)); }

  /// Memory that all operations use in turn, in stream order: at least `bytes`, which are reserved first by
  /// whoever plans. What was handed out stays valid when a later reservation needs more.
  void reserve_workspace(std::int64_t bytes);
  /// Has room for every plan that was asked for until now; waits for them where it has to allocate.
  void* workspace();
  /// What is held.
  std::int64_t workspace_bytes() const;

  /// What was planned so far, and every matrix product that cuBLAS was asked for; waits for what is still
  /// planned.
  std::vector<PlanRow> plans() const;
  void add_product(const PlanRow& product);

 private:
  CudaOptions options_;
  Stream stream_;
  CudnnHandle cudnn_;
  CublasHandle cublas_;
  Planning planning_;
  std::int64_t workspace_bytes_ = 0;
  std::vector<Buffer> workspaces_;  // the last one is in use
  std::vector<PlanRow> products_;
};

/// A graph on its way: planned in the background, loaded and bound when it is first executed.
class GraphOperation {
 public:
  /// Bindings of by-value scalars must outlive this.
  GraphOperation(Context& context, dnn::OperationGraph graph, std::vector<dnn::Binding> bindings);

  /// Waits for the plan; false if cuDNN has none and an own kernel must stand in.
  bool available() const;

  /// Enqueues. The first time it loads the plan and binds it, which may allocate: before a CUDA graph is
  /// captured everything in it runs once (see recording.cpp). Throws Error if there is no plan.
  void execute();

 private:
  Context& context_;
  std::shared_ptr<PlanRequest> plan_;
  std::vector<dnn::Binding> bindings_;
  std::optional<dnn::Executable> executable_;
};

}  // namespace convoy::cuda
