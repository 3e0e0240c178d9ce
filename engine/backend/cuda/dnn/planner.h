// From a graph to a plan: which of cuDNN's engines, under which policy, for a GPU that is only described. So
// the same code plans for the GPU that is there and, in tests, for GPUs that are not.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "engine/backend/cuda/dnn/descriptor.h"
#include "engine/backend/cuda/dnn/operation_graph.h"

namespace convoy::cuda::dnn {

/// Compute capability, times 10, from which tensor cores know tf32 and bf16. Before it cuDNN 9.19 plans a few
/// weight gradients of a whole model in bf16, and all of it in tf32, on other cores.
inline constexpr int kAmpere = 80;

/// Plans in caches are made by the version in their key: to be raised whenever lower.cpp or the policy in
/// planner.cpp changes what a graph's plan computes or may be.
constexpr int kPlanningVersion = 3;

/// What a plan must fulfil.
struct Policy {
  Precision precision = Precision::fp32;
  bool deterministic = true;
  std::int64_t workspace_limit = std::int64_t{256} << 20;  // bytes
};

/// What is known of a plan.
struct PlanInfo {
  std::string graph;           // its name, for who reads a cache
  std::string own_kernel;      // the name of the own kernel that was chosen instead of a plan
  std::int64_t engine = -1;    // cuDNN's global index
  std::int64_t workspace = 0;  // bytes
  std::int64_t launches = 1;   // kernels and fills that an execution enqueues, as far as can be known
  bool naive = false;          // right, but many times slower than any other: is_naive() in engine_facts.h
  bool tensor_core = false;
  bool deterministic = true;
  bool runtime_compiled = false;
  bool from_cache = false;  // else planned by this process
};

/// A finished plan as text: `json` is cuDNN's serialised form of it, which any GPU of the same properties
/// loads (cuDNN's "deviceless ahead-of-time compilation"). Empty for an own kernel.
struct Plan {
  PlanInfo info;
  std::string json;
};

/// A plan that cuDNN has made again from its text, or by a handle. A handle on a GPU of the planner's
/// description executes it.
struct LoadedPlan {
  Plan plan;
  Descriptor descriptor;
};

/// cuDNN's description of the GPU that `handle` is on. Throws CudnnError.
std::string describe_device(cudnnHandle_t handle);

/// Its members may be called by several threads at once.
class Planner {
 public:
  /// `device` is cuDNN's JSON description of a GPU. Throws CudnnError if it is not one, Error if the
  /// policy is bf16 and that GPU knows none.
  Planner(const std::string& device, Policy policy);

  /// Distinct plans that the policy allows, no more than `limit`; none if an own kernel has to stand in. They
  /// are in the order of cuDNN's heuristics, but plans without tensor cores that copy tensors into another
  /// order of memory come behind the others, and naive ones last: the first is naive only where all are.
  /// Throws CudnnError if the graph itself is refused.
  std::vector<Plan> plans(const OperationGraph& graph, std::size_t limit) const;

  /// The first of them, made by a handle and by nothing that is described or written down: for where the text
  /// of a plan cannot be loaded. The handle's thread alone may call it.
  std::optional<LoadedPlan> plan_by(cudnnHandle_t handle, const OperationGraph& graph) const;

  /// Needs no device and no handle: cuDNN lets threads that share one description load at the same time.
  /// Throws CudnnError if cuDNN does not load the plan for this GPU, Error if its workspace is not what the
  /// plan says.
  LoadedPlan load(Plan plan) const;

  /// What to say of a graph that has neither a plan nor an own kernel: its shapes, the GPU, the policy.
  std::string no_plan(const OperationGraph& graph) const;

  const Policy& policy() const { return policy_; }

 private:
  /// What heuristics propose and the policy allows, before it is known whether cuDNN makes a plan of it.
  struct Proposal {
    Descriptor configuration;
    PlanInfo info;
  };

  // A null handle means the described device.
  std::vector<LoadedPlan> find(const OperationGraph& graph, std::size_t limit, cudnnHandle_t handle) const;
  std::vector<Proposal> proposals(const OperationGraph& graph, const Descriptor& lowered,
                                  cudnnBackendHeurMode_t mode, cudnnHandle_t handle) const;
  std::vector<Descriptor> configurations(const Descriptor& lowered, cudnnBackendHeurMode_t mode,
                                         cudnnHandle_t handle) const;
  std::optional<Proposal> propose(const Descriptor& configuration, const OperationGraph& graph) const;
  std::optional<LoadedPlan> finish(const Proposal& proposal, const OperationGraph& graph,
                                   cudnnHandle_t handle) const;

  Descriptor properties_;
  std::string device_name_;
  Policy policy_;
};

}  // namespace convoy::cuda::dnn
