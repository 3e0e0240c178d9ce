// The plans of all graphs that layers ask for: each distinct graph is planned once, in the background, on all
// cores, unless the cache on disk has it. What was chosen is bound to the memory of whoever asked.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/dnn/executable.h"
#include "engine/backend/cuda/dnn/plan_cache.h"
#include "engine/backend/cuda/runtime/autotune.h"

namespace convoy::cuda {

/// What does a graph's work if cuDNN has no plan for it.
struct StandIn {
  std::string realised_by;  // for the table of plans; empty: nothing does, and to execute it is an error
  std::function<void()> make = {};  // makes it, if it has to be made; it may ask for other graphs
};

class PlanStore {
 public:
  /// For the GPU that `device` describes (describe_device). Throws what dnn::Planner throws.
  PlanStore(std::string device, const CudaOptions& options);

  /// Starts to plan `graph`, unless the same was asked for before. By-value scalars among the bindings must
  /// outlive the result. The stand-in is made only while the result lives.
  std::shared_ptr<dnn::BoundGraph> request(dnn::OperationGraph graph, std::vector<dnn::Binding> bindings,
                                           StandIn stand_in = {});

  /// Waits for the plans of what was requested since `bind`, times them on the handle's GPU if that is
  /// wanted, and makes stand-ins. Allocates nothing that lasts. Throws Error if cuDNN refuses a graph.
  void choose(cudnnHandle_t handle, cudaStream_t stream);

  /// That any of the chosen plans wants, in bytes.
  std::int64_t largest_workspace() const;

  /// Makes executable what was chosen since the last time. `workspace` does for all plans.
  void bind(cudnnHandle_t handle, void* workspace);

  /// In the order in which the graphs were asked for.
  std::vector<PlanRow> rows() const;

 private:
  /// What the background found for a graph.
  struct Candidates {
    std::vector<dnn::LoadedPlan>
        plans;                  // best first; none if cuDNN has none; the one from the cache is alone
    double milliseconds = 0.0;  // that planning took
    std::string refused;        // why the cache's plan is not among them, if it has one
    std::string unloaded;       // why cuDNN loads none of its plans again, if it has some
  };
  struct Entry {
    dnn::OperationGraph graph;
    PlanRow row;
    bool chosen = false;
    std::optional<dnn::LoadedPlan> plan = {};
    std::shared_future<Candidates> candidates = {};
  };
  struct Request {
    Entry& entry;
    std::weak_ptr<dnn::BoundGraph> bound;
    StandIn stand_in;
  };

  Candidates find_candidates(const dnn::OperationGraph& graph);  // runs in the background
  static const Candidates& candidates_of(const Entry& entry);    // waits for it
  void choose(Entry& entry, cudnnHandle_t handle, cudaStream_t stream);
  void choose_by(cudnnHandle_t handle, const std::string& why, Entry& entry);
  Tuned tune(const Entry& entry, const std::vector<dnn::LoadedPlan>& plans, cudnnHandle_t handle,
             cudaStream_t stream) const;
  dnn::PlanKey key_of(const dnn::OperationGraph& graph) const;
  void say(const std::string& line, Remedy remedy = Remedy::none) const;

  std::string device_;
  CudaOptions options_;
  dnn::Planner planner_;
  dnn::PlanCache cache_;
  std::counting_semaphore<> cores_;
  std::vector<Request> requests_;  // not bound yet
  std::map<std::string, Entry*> by_signature_;
  std::deque<Entry> entries_;  // last: its futures wait for the threads, which use all of the above
};

}  // namespace convoy::cuda
