#include "engine/backend/cuda/runtime/plan_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

namespace convoy::cuda {

using dnn::Binding;
using dnn::BoundGraph;
using dnn::LoadedPlan;
using dnn::OperationGraph;
using dnn::Plan;
using dnn::PlanCache;
using dnn::PlanInfo;
using dnn::PlanKey;

namespace {

constexpr std::size_t kCandidates = 8;  // that autotuning times; the heuristics rank the best ones first

class CoreInUse {
 public:
  explicit CoreInUse(std::counting_semaphore<>& cores) : cores_(cores) { cores_.acquire(); }
  ~CoreInUse() { cores_.release(); }
  CoreInUse(const CoreInUse&) = delete;
  CoreInUse& operator=(const CoreInUse&) = delete;

 private:
  std::counting_semaphore<>& cores_;
};

/// Where no thread can be had, whoever waits for the result does the work.
template <typename Work>
auto in_background(Work work) {
  try {
    return std::async(std::launch::async, work).share();
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, work).share();
  }
}

void describe(const PlanInfo& info, const std::string& origin, PlanRow& row) {
  std::vector<std::string> notes;
  if (info.naive) notes.push_back("naive");
  if (info.tensor_core) notes.push_back("tensor cores");
  notes.push_back(info.deterministic ? "deterministic" : "not deterministic");
  if (info.runtime_compiled) notes.push_back("runtime compiled");
  notes.push_back(origin);
  row.realisation = info.from_cache ? Realisation::from_cache : Realisation::planned;
  row.realised_by = fmt::format("cuDNN engine {}", info.engine);
  row.notes = fmt::format("{}", fmt::join(notes, ", "));
  row.workspace = info.workspace;
  row.launches = info.launches;
}

}  // namespace

PlanStore::PlanStore(std::string device, const CudaOptions& options)
    : device_(std::move(device)),
      options_(options),
      planner_(device_, {options.precision, options.deterministic}),
      cache_(options.plan_cache),
      cores_(std::max(1u, std::thread::hardware_concurrency())) {
  const std::string problem = PlanCache::problem(options.plan_cache);
  if (!problem.empty()) say(problem, Remedy::another_plan_cache);
}

std::shared_ptr<BoundGraph> PlanStore::request(OperationGraph graph, std::vector<Binding> bindings,
                                               StandIn stand_in) {
  Entry*& entry = by_signature_[graph.signature()];
  if (!entry) {
    const std::string name = graph.str();
    Entry& fresh = entries_.emplace_back(Entry{
        .graph = std::move(graph), .row = {.operation = name, .realised_by = "not prepared", .notes = {}}});
    // A thread a graph is cheap, but only as many work as there are cores.
    fresh.candidates = in_background([this, &wanted = fresh.graph] {
      const CoreInUse core(cores_);
      return find_candidates(wanted);
    });
    entry = &fresh;
  }
  const auto bound = std::make_shared<BoundGraph>(entry->row.operation, std::move(bindings));
  requests_.push_back({*entry, bound, std::move(stand_in)});
  return bound;
}

PlanStore::Candidates PlanStore::find_candidates(const OperationGraph& graph) {
  Candidates found;
  if (std::optional<Plan> cached = cache_.find(key_of(graph))) {
    // Of an installation that was changed by halves, say, and cuDNN may not load it: then another plan or an
    // own kernel can be had.
    try {
      found.plans.push_back(planner_.load(std::move(*cached)));
      return found;
    } catch (const Error& error) {
      found.refused = error.what();
    }
  }
  const auto start = std::chrono::steady_clock::now();
  for (Plan& plan : planner_.plans(graph, options_.autotune ? kCandidates : 1)) {
    try {
      found.plans.push_back(planner_.load(std::move(plan)));
    } catch (const Error& error) {
      found.unloaded = error.what();  // it matters only where no other plan is left
    }
  }
  found.milliseconds =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (!options_.autotune && !found.plans.empty()) cache_.store(key_of(graph), found.plans.front().plan);
  return found;
}

void PlanStore::choose(cudnnHandle_t handle, cudaStream_t stream) {
  for (std::size_t i = 0; i < requests_.size(); ++i) {  // a stand-in may add a request
    const auto bound = requests_[i].bound.lock();
    if (!bound) continue;
    Entry& entry = requests_[i].entry;
    if (!entry.chosen) choose(entry, handle, stream);
    const StandIn stand_in = requests_[i].stand_in;
    if (!entry.plan && !stand_in.realised_by.empty()) {
      if (stand_in.make) stand_in.make();
      entry.row.realisation = Realisation::own_kernel;
      entry.row.realised_by = stand_in.realised_by;
    }
    requests_[i].stand_in = {};  // last: where making it throws, the next prepare() makes it
  }
}

const PlanStore::Candidates& PlanStore::candidates_of(const Entry& entry) {
  try {
    return entry.candidates.get();
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", entry.row.operation, error.what()));
  }
}

void PlanStore::choose(Entry& entry, cudnnHandle_t handle, cudaStream_t stream) {
  const Candidates& found = candidates_of(entry);
  if (!found.refused.empty()) {
    say(fmt::format("the plan for {} in {} cannot be loaded, so it is planned again: {}", entry.row.operation,
                    options_.plan_cache.string(), found.refused));
  }
  if (found.plans.empty() && !found.unloaded.empty()) {
    choose_by(handle, found.unloaded, entry);
  } else if (found.plans.empty()) {
    entry.row.realised_by = "nothing";
  } else {
    const bool from_cache = found.plans.front().plan.info.from_cache;
    std::string origin =
        from_cache ? "from the cache" : fmt::format("planned in {:.0f} ms", found.milliseconds);
    Tuned tuned{.plan = found.plans.front()};
    if (options_.autotune && !from_cache) tuned = tune(entry, found.plans, handle, stream);
    if (tuned.timed > 0) {
      origin += fmt::format(", fastest of {}: {:.4f} ms", tuned.timed, tuned.milliseconds);
    }
    describe(tuned.plan.plan.info, origin, entry.row);
    entry.plan = std::move(tuned.plan);
  }
  entry.candidates = {};
  entry.chosen = true;
}

void PlanStore::choose_by(cudnnHandle_t handle, const std::string& why, Entry& entry) {
  // Tests without a GPU have no handle.
  if (handle) entry.plan = planner_.plan_by(handle, entry.graph);
  if (!entry.plan) throw Error(fmt::format("{}: {}", entry.row.operation, why));
  say(fmt::format("cuDNN does not load the plan that it made for {}, so the GPU's handle plans it: {}",
                  entry.row.operation, why));
  describe(entry.plan->plan.info, "planned by the handle", entry.row);
}

Tuned PlanStore::tune(const Entry& entry, const std::vector<LoadedPlan>& plans, cudnnHandle_t handle,
                      cudaStream_t stream) const {
  Tuned tuned{.plan = plans.front()};
  const bool has_choice = plans.size() > 1;
  try {
    if (has_choice) tuned = fastest_plan(entry.graph, plans, handle, stream);
  } catch (const Error& error) {
    tuned.error = error.what();  // most likely no memory to time in: the training itself may still fit
  }
  if (has_choice && tuned.timed == 0) {
    say(fmt::format("no plan for {} could be timed, the first is taken: {}", entry.row.operation,
                    tuned.error));
  } else {
    cache_.store(key_of(entry.graph), tuned.plan.plan);
  }
  return tuned;
}

std::int64_t PlanStore::largest_workspace() const {
  std::int64_t largest = 0;
  for (const Entry& entry : entries_) largest = std::max(largest, entry.row.workspace);
  return largest;
}

void PlanStore::bind(cudnnHandle_t handle, void* workspace) {
  for (const Request& request : requests_) {
    const auto bound = request.bound.lock();
    if (!bound) continue;
    if (request.entry.plan) {
      bound->make_executable(*request.entry.plan, handle, workspace);
    } else {
      bound->make_unavailable(planner_.no_plan(request.entry.graph));
    }
  }
  requests_.clear();
}

std::vector<PlanRow> PlanStore::rows() const {
  std::vector<PlanRow> rows;
  for (const Entry& entry : entries_) rows.push_back(entry.row);
  return rows;
}

PlanKey PlanStore::key_of(const OperationGraph& graph) const {
  return {cudnnGetVersion(), device_, graph.signature(), planner_.policy(), options_.autotune};
}

void PlanStore::say(const std::string& line, Remedy remedy) const {
  if (options_.say) options_.say(line, remedy);
}

}  // namespace convoy::cuda
