// Finished plans on disk. A runtime-compiled engine costs cuDNN about half a second, a file some
// microseconds.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/backend/cuda/dnn/planner.h"

namespace convoy::cuda::dnn {

/// Everything that a plan depends on, as text.
struct PlanKey {
  std::size_t cudnn_version = 0;
  std::string device;     // cuDNN's description
  std::string signature;  // OperationGraph::signature()
  Policy policy;
  bool autotuned = false;  // the fastest when it was timed, else the heuristics' first
  int planning_version = kPlanningVersion;

  std::string text() const;
};

class PlanCache {
 public:
  /// An empty folder disables it.
  explicit PlanCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The plan stored under exactly this key; nothing if there is none or the file is damaged, foreign or from
  /// another version: then it is planned anew. Never throws.
  std::optional<Plan> find(const PlanKey& key) const;

  /// Stores a plan; a folder that cannot be written costs the next start time, not this one its run. Several
  /// threads and processes may store at once: files appear whole. Never throws.
  void store(const PlanKey& key, const Plan& plan) const;

  /// Why nothing can be kept in a folder, which is made if need be; empty if it can, or if `folder` is. Never
  /// throws.
  static std::string problem(const std::filesystem::path& folder);

  /// How many plans are in a folder; 0 if there is none. Never throws.
  static std::size_t count(const std::filesystem::path& folder);

 private:
  std::filesystem::path file_of(const PlanKey& key) const;

  std::filesystem::path folder_;
};

}  // namespace convoy::cuda::dnn
