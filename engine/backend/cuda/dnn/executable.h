// A plan bound to its memory: made once, executed often.
#pragma once

#include <optional>
#include <span>
#include <string>
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

class Executable {
 public:
  /// `workspace` has at least the plan's workspace in bytes. Throws CudnnError.
  Executable(const LoadedPlan& plan, cudnnHandle_t handle, std::span<const Binding> bindings,
             void* workspace);

  /// Enqueues on the handle's stream. Throws CudnnError.
  void execute() const;

 private:
  cudnnHandle_t handle_;
  Descriptor plan_;  // shared by all who execute it; the variant pack is this one's own
  Descriptor variant_pack_;
};

/// A graph of one layer, bound to that layer's memory. PlanStore::bind makes it executable.
class BoundGraph {
 public:
  /// `name` is for messages.
  BoundGraph(std::string name, std::vector<Binding> bindings);

  void make_executable(const LoadedPlan& plan, cudnnHandle_t handle, void* workspace);
  /// `why` is what an attempt to execute says.
  void make_unavailable(std::string why);

  /// False if cuDNN has no plan, and an own kernel must stand in. Throws Error before that is known.
  bool available() const;

  /// Enqueues. Throws Error if it was not prepared or there is no plan, CudnnError if cuDNN fails.
  void execute() const;

 private:
  std::string name_;
  std::vector<Binding> bindings_;
  std::optional<Executable> executable_;
  std::string unavailable_;  // why there is none
};

}  // namespace convoy::cuda::dnn
