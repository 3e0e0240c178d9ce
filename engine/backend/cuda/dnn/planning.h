// The graphs that operations ask for, on their way to plans: each distinct one is planned once, in the
// background, on all cores, and its row in the table of plans says what became of it.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/dnn/autotune.h"
#include "engine/backend/cuda/dnn/plan_cache.h"

namespace convoy::cuda {

/// What planning found for a graph.
struct Candidates {
  std::vector<dnn::Plan> plans;  // best first; none if cuDNN has none; the one from the cache is alone
  double milliseconds = 0.0;     // that it took
  std::string refused;           // why the cache's plan is not among them, if it has one
};

class Planning;

/// A graph that another thread is still planning.
class PlanRequest {
 public:
  PlanRequest(Planning& planning, dnn::OperationGraph graph);

  /// The plan, or nothing if cuDNN has none. It waits; with autotuning the first call times the candidates,
  /// so it may not happen while a stream is captured. Throws CudnnError if cuDNN refuses the graph.
  const std::optional<dnn::Plan>& get();

  /// What to say if there is no plan.
  std::string no_plan() const;

  /// As `get`.
  PlanRow row();

  void wait() const { candidates_.wait(); }

 private:
  Candidates find_candidates() const;  // from the cache, else planned
  Candidates plan_candidates() const;
  void decide(const Candidates& found);
  void tune(const std::vector<dnn::Plan>& plans);

  Planning& planning_;
  dnn::OperationGraph graph_;
  bool decided_ = false;
  std::optional<dnn::Plan> plan_;
  double milliseconds_ = 0.0;  // that planning it took; 0 from the cache
  std::string tuned_;          // how it won, for the table
  std::shared_future<Candidates> candidates_;
};

class Planning {
 public:
  /// For the GPU of `handle`. Throws what CachedPlanner throws.
  Planning(const CudaOptions& options, cudnnHandle_t handle, cudaStream_t stream);
  ~Planning();
  Planning(const Planning&) = delete;  // requests refer to it
  Planning& operator=(const Planning&) = delete;

  /// Starts to plan, unless the same graph was asked for before.
  std::shared_ptr<PlanRequest> request(dnn::OperationGraph graph);

  /// In the order in which they were asked for; waits for all of them.
  std::vector<PlanRow> rows() const;
  /// That any of the plans wants, in bytes.
  std::int64_t largest_workspace() const;

 private:
  friend class PlanRequest;

  void say(const std::string& line) const;

  CudaOptions options_;
  CachedPlanner planner_;
  Autotuner autotuner_;
  std::counting_semaphore<> cores_;
  std::map<std::string, std::shared_ptr<PlanRequest>> by_signature_;
  std::vector<std::shared_ptr<PlanRequest>> requests_;
};

}  // namespace convoy::cuda
