// One GPU as the backend's operations see it: a stream, the libraries' handles, plans, a workspace.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <memory>
#include <source_location>
#include <string>
#include <vector>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/group/device_group.h"
#include "engine/backend/cuda/runtime/event.h"
#include "engine/backend/cuda/runtime/memory.h"
#include "engine/backend/cuda/runtime/plan_store.h"
#include "engine/backend/cuda/runtime/tensor.h"
#include "engine/core/owner.h"

namespace convoy::cuda {

using CudnnHandle = Owner<cudnnHandle_t, cudnnDestroy>;
using CublasHandle = Owner<cublasLtHandle_t, cublasLtDestroy>;

/// Throws Error with the call and cuBLAS's name of the status unless it is success.
void check_cublas(cublasStatus_t status, const char* call,
                  std::source_location where = std::source_location::current());
#define CONVOY_CUBLAS(call) ::convoy::cuda::check_cublas((call), #call)

/// The current device's compute capability times 10: 90 for sm_90.
int device_architecture();

/// What prepare() decides by timing it, when everything can be executed.
class Decision {
 public:
  virtual ~Decision() = default;
  /// Throws no Error where something cannot be timed: there is a choice without.
  virtual void decide() = 0;
};

class Context {
 public:
  /// Takes the current device. Throws Error, CudaError or CudnnError if it or its libraries cannot be used,
  /// or it lacks the precision.
  explicit Context(const DeviceOptions& options);

  const DeviceOptions& options() const { return options_; }
  Precision precision() const { return *options_.precision; }
  cudaStream_t stream() const { return stream_.get(); }
  cudnnHandle_t cudnn() const { return cudnn_.get(); }
  cublasLtHandle_t cublas() const { return cublas_.get(); }

  /// The processes that train together.
  Communicator& group() const { return *group_; }
  bool in_group() const { return devices_ != nullptr; }
  /// Their GPUs; only in a group of several.
  DeviceGroup& devices() const { return *devices_; }
  /// For what they do while `stream()` works on.
  cudaStream_t group_stream() const { return group_stream_.get(); }

  /// How activations are stored.
  DType activation() const { return precision() == Precision::bf16 ? DType::bfloat16 : DType::float32; }

  /// A zeroed tensor with memory of its own.
  std::shared_ptr<DeviceTensor> make_tensor(const Shape& shape, DType storage) const;

  /// An operation's output, stored as activations are, with a gradient if `with_gradient`.
  Variable make_activation(const Shape& shape, bool with_gradient) const;

  PlanStore& plan_store() { return plan_store_; }

  /// Asks for memory that all operations use in turn, in stream order. `workspace` takes what it returns.
  std::int64_t reserve_workspace(std::int64_t bytes);

  /// To be decided by the next prepare(), if it is still there.
  void add_decision(std::weak_ptr<Decision> decision) { decisions_.push_back(std::move(decision)); }

  /// What Backend::prepare says: the plans of all graphs, one workspace for everything, decisions. What an
  /// earlier call made stays valid.
  void prepare();

  /// Throws Error, naming `user`, before prepare() has followed the reservation.
  void* workspace(std::int64_t reservation, const std::string& user) const;
  /// What is held.
  std::int64_t workspace_bytes() const;

  /// What was planned, and what else was added.
  std::vector<PlanRow> plans() const;
  /// A matrix product that cuBLAS was asked for, or what else has no graph of cuDNN's; one row for all alike.
  void add_row(const PlanRow& row);

 private:
  DeviceOptions options_;  // with a precision
  Stream stream_;
  std::shared_ptr<Communicator> launched_;  // where only the GPUs are connected: what group_ was made of
  std::shared_ptr<Communicator> group_;
  Stream group_stream_;                   // empty for a process alone
  std::unique_ptr<DeviceGroup> devices_;  // null for a process alone
  std::unique_ptr<WaitWatch> watch_;      // likewise
  CudnnHandle cudnn_;
  CublasHandle cublas_;
  PlanStore plan_store_;
  std::int64_t reserved_bytes_ = 0;
  std::int64_t prepared_ = 0;       // how often
  std::vector<Buffer> workspaces_;  // the last one is in use; captured CUDA graphs may use the others
  std::vector<std::weak_ptr<Decision>> decisions_;
  std::vector<PlanRow> rows_;  // without those of graphs
};

}  // namespace convoy::cuda
