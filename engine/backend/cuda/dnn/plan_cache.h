// Finished plans on disk. A runtime-compiled engine costs cuDNN about half a second, a file some
// microseconds.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/backend/cuda/dnn/planner.h"

namespace convoy::cuda {

/// Everything that a plan depends on, as text.
struct PlanKey {
  std::size_t cudnn_version = 0;
  std::string device;     // cuDNN's description
  std::string signature;  // OperationGraph::signature()
  dnn::Policy policy;
  bool autotuned = false;  // the fastest when it was timed, else the heuristics' first
  int planning_version = dnn::kPlanningVersion;

  std::string text() const;
};

class PlanCache {
 public:
  /// An empty folder disables it.
  explicit PlanCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The plan stored under exactly this key; nothing if there is none or the file is damaged, foreign or from
  /// another version: then it is planned anew. Never throws.
  std::optional<dnn::Plan> find(const PlanKey& key) const;

  /// Stores a plan; a folder that cannot be written costs the next start time, not this one its run. Several
  /// threads and processes may store at once: files appear whole. Never throws.
  void store(const PlanKey& key, const dnn::Plan& plan) const;

  /// Why nothing can be kept in a folder, which is made if need be; empty if it can, or if `folder` is. Never
  /// throws.
  static std::string problem(const std::filesystem::path& folder);

  /// How many plans are in a folder; 0 if there is none. Never throws.
  static std::size_t count(const std::filesystem::path& folder);

 private:
  std::filesystem::path file_of(const PlanKey& key) const;

  std::filesystem::path folder_;
};

/// What a cache has for a graph.
struct CachedPlan {
  std::optional<dnn::Plan> plan;
  std::string refused;  // why what it has is of no use (Planner::refusal)
};

/// Plans for one described GPU, and the cache of them.
class CachedPlanner {
 public:
  /// As Planner's. Autotuned plans are kept apart from those that the heuristics rank first.
  CachedPlanner(std::string device, dnn::Policy policy, std::filesystem::path folder, bool autotuned = false);

  /// From the cache, and from nowhere else. A plan that cuDNN does not load is none.
  CachedPlan find(const dnn::OperationGraph& graph) const;

  /// As Planner's; try_plan stores what it planned, for several plans `store` keeps the one that was chosen.
  std::optional<dnn::Plan> try_plan(const dnn::OperationGraph& graph) const;
  std::vector<dnn::Plan> plans(const dnn::OperationGraph& graph, std::size_t limit) const {
    return planner_.plans(graph, limit);
  }
  void store(const dnn::OperationGraph& graph, const dnn::Plan& plan) const {
    cache_.store(key_of(graph), plan);
  }

  std::string no_plan(const dnn::OperationGraph& graph) const { return planner_.no_plan(graph); }

 private:
  PlanKey key_of(const dnn::OperationGraph& graph) const;

  std::string device_;
  dnn::Planner planner_;
  PlanCache cache_;
  bool autotuned_;
};

}  // namespace convoy::cuda
