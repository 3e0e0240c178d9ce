// What can do a graph's work, a plan or an own kernel, bound to its memory: made once, executed often.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/backend/cuda/dnn/planner.h"

namespace convoy::cuda::dnn {

/// To be thrown where `what` is executed before Backend::prepare.
Error not_prepared(const std::string& what);

/// Device memory for a role (or, for a by-value scalar, a host float that outlives the executable).
struct Binding {
  Role role;
  void* pointer;
};

/// cuDNN's handle, and the stream that it enqueues on.
struct Queue {
  cudnnHandle_t handle = nullptr;
  cudaStream_t stream = nullptr;
};

/// The memory that an own kernel works on.
class BoundMemory {
 public:
  BoundMemory(std::vector<Binding> bindings, void* workspace)
      : bindings_(std::move(bindings)), workspace_(workspace) {}

  /// Throws Error if nothing is bound to the role.
  void* operator[](Role role) const;
  void* workspace() const { return workspace_; }

 private:
  std::vector<Binding> bindings_;
  void* workspace_;
};

/// An own kernel that does a graph's work: a candidate beside cuDNN's plans. Who asks for a graph again
/// offers the same one.
struct OwnKernel {
  std::string name;            // for tables and caches, with all that decides its speed; empty: there is none
  std::int64_t workspace = 0;  // bytes
  std::int64_t launches = 1;   // that an execution enqueues

  /// Enqueues it. Empty for a kernel that needs more than the graph's tensors: that one is not timed, and
  /// only where cuDNN has no plan whoever asked for the graph does the work by it.
  std::function<void(const BoundMemory& memory, cudaStream_t stream)> run = {};
  /// Makes what it needs where it does the work, if that has to be made; it may ask for other graphs.
  std::function<void()> make = {};
  /// Why it does the work without that cuDNN is asked, unless all candidates are to be timed. Only with
  /// `run`.
  std::string preferred = {};
  /// Whether it is preferred because cuDNN's results are wrong, so that those are not even timed.
  bool only = false;
};

/// What can do a graph's work.
using Candidate = std::variant<LoadedPlan, OwnKernel>;

/// In bytes.
std::int64_t workspace_of(const Candidate& candidate);

class Executable {
 public:
  /// `workspace` has at least what the candidate wants. Throws CudnnError.
  Executable(const Candidate& candidate, const Queue& queue, const std::vector<Binding>& bindings,
             void* workspace);

  /// Enqueues on the queue's stream. Throws CudnnError or CudaError.
  void execute() const { enqueue_(); }

 private:
  std::function<void()> enqueue_;
};

/// A graph of one layer, bound to that layer's memory. PlanStore::bind makes it executable.
class BoundGraph {
 public:
  /// `name` is for messages.
  BoundGraph(std::string name, std::vector<Binding> bindings);

  void make_executable(const Candidate& candidate, const Queue& queue, void* workspace);
  /// `why` is what an attempt to execute says.
  void make_unavailable(std::string why);

  /// False if nothing that the graph's tensors suffice for does its work: whoever asked must, by his own
  /// kernel. Throws Error before that is known.
  bool available() const;

  /// Enqueues. Throws Error if it was not prepared or is not available, CudnnError or CudaError if that
  /// fails.
  void execute() const;

 private:
  std::string name_;
  std::vector<Binding> bindings_;
  std::optional<Executable> executable_;
  std::string unavailable_;  // why there is none
};

}  // namespace convoy::cuda::dnn
