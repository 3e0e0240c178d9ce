// What does the work of all graphs that layers ask for. Each distinct graph is planned once, in the
// background, on all cores, unless the cache on disk has it. Among cuDNN's plans and the own kernel one is
// chosen: cuDNN's in the order of its heuristics, the own kernel before the naive ones, or the fastest of
// all. What was chosen is bound to the memory of whoever asked.
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

class PlanStore {
 public:
  /// For the GPU that `device` describes (describe_device); the options have a precision. A thread that plans
  /// for a GPU that is there calls `enter` first, which makes that its device. Throws what dnn::Planner
  /// throws.
  PlanStore(
      std::string device, const DeviceOptions& options, std::function<void()> enter = [] {});

  /// Starts to plan `graph`, unless the same was asked for before. By-value scalars among the bindings must
  /// outlive the result. `own` is made (OwnKernel::make) only while the result lives.
  std::shared_ptr<dnn::BoundGraph> request(dnn::OperationGraph graph, std::vector<dnn::Binding> bindings,
                                           dnn::OwnKernel own = {});

  /// From within OwnKernel::make: whoever asked for `graph`, which has to be done the same way, does it by
  /// his own kernel, too, whatever plan there is.
  void do_by_own_kernel(const dnn::BoundGraph& graph);

  /// Waits for the plans of what was requested since `bind`, chooses, by timing on the queue's GPU if that is
  /// wanted, and makes own kernels' needs. Allocates nothing that lasts. Throws Error if cuDNN refuses a
  /// graph.
  void choose(const dnn::Queue& queue);

  /// That anything chosen wants, in bytes.
  std::int64_t largest_workspace() const;

  /// Makes executable what was chosen since the last time. `workspace` does for all of it.
  void bind(const dnn::Queue& queue, void* workspace);

  /// In the order in which the graphs were asked for.
  std::vector<PlanRow> rows() const;
  /// From now on without the graphs that nobody who asked for them holds any more.
  void leave_out_unused();

  /// Which way of doing an operation was kept as the fastest; `operation` says all that it depends on but the
  /// device and the policy. It is kept for this process, and in the cache as plans are. Nothing if there is
  /// none.
  std::optional<std::string> fastest_way(const std::string& operation) const;
  void keep_fastest_way(const std::string& operation, const std::string& way);

 private:
  /// What the background found for a graph.
  struct Found {
    std::vector<dnn::LoadedPlan> plans;  // best first; none if cuDNN has none
    bool from_cache = false;             // it says what to take: a plan, which is alone, or the own kernel
    bool by_handle = false;              // the plan is the GPU's handle's, and has no text
    double milliseconds = 0.0;           // that planning took
    std::string refused;                 // why the cache's plan is not among them, if it has one
    std::string unloaded;                // why cuDNN loads none of its plans again, if it has some
  };
  struct Entry {
    dnn::OperationGraph graph;
    dnn::OwnKernel own;  // a candidate if it can run
    PlanRow row;
    bool is_chosen = false;
    bool is_used = true;
    std::vector<std::weak_ptr<dnn::BoundGraph>> users = {};
    std::optional<dnn::Candidate> chosen = {};
    std::shared_future<Found> found = {};
  };
  struct Request {
    Entry& entry;
    std::weak_ptr<dnn::BoundGraph> bound;
    dnn::OwnKernel own;
    bool by_own_kernel = false;  // of whoever asked, whatever was chosen
  };

  Found find(const dnn::OperationGraph& graph, const dnn::OwnKernel& own) const;  // runs in the background
  static const Found& found_for(const Entry& entry);                              // waits for it
  void choose(Entry& entry, const dnn::Queue& queue);
  /// Where cuDNN has plans and loads none. Throws Error if the handle has none either, nor an own kernel.
  void plan_by_handle(cudnnHandle_t handle, const Entry& entry, Found& found) const;
  Tuned tune(const Entry& entry, const std::vector<dnn::Candidate>& candidates,
             const dnn::Queue& queue) const;
  static void describe(Entry& entry, const Found& found, const Tuned& tuned);
  void store(const dnn::OperationGraph& graph, const dnn::Candidate& candidate) const;
  dnn::PlanKey key_of(const std::string& signature) const;
  void say(const std::string& line, Remedy remedy = Remedy::none) const;

  std::string device_;
  DeviceOptions options_;
  std::function<void()> enter_;
  dnn::Planner planner_;
  dnn::PlanCache cache_;
  std::counting_semaphore<> cores_;
  std::vector<Request> requests_;  // not bound yet
  std::map<std::string, Entry*> by_signature_;
  std::map<std::string, std::string> fastest_ways_;  // by operation
  std::deque<Entry> entries_;  // last: its futures wait for the threads, which use all of the above
};

}  // namespace convoy::cuda
