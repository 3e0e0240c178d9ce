#include "engine/backend/cuda/runtime/plan_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "engine/core/background.h"

namespace convoy::cuda {

using dnn::Binding;
using dnn::BoundGraph;
using dnn::Candidate;
using dnn::LoadedPlan;
using dnn::OperationGraph;
using dnn::OwnKernel;
using dnn::Plan;
using dnn::PlanCache;
using dnn::PlanInfo;
using dnn::PlanKey;
using dnn::Queue;

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

void describe_plan(const PlanInfo& info, const std::string& origin, PlanRow& row) {
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

void describe_own(const OwnKernel& own, const std::string& notes, PlanRow& row) {
  row.realisation = Realisation::own_kernel;
  row.realised_by = "own kernel: " + own.name;
  row.notes = notes;
  row.workspace = own.workspace;
  row.launches = own.launches;
}

/// The candidates, best first: an own kernel is ranked behind what cuDNN's heuristics propose, before naive
/// engines, unless it is preferred.
std::vector<Candidate> ranked(const std::vector<LoadedPlan>& plans, const OwnKernel& own) {
  std::vector<Candidate> candidates(plans.begin(), plans.end());
  if (!own.run) return candidates;
  const auto better = std::ranges::find_if(
      plans, [&](const LoadedPlan& loaded) { return !own.preferred.empty() || loaded.plan.info.naive; });
  candidates.insert(candidates.begin() + (better - plans.begin()), own);
  return candidates;
}

}  // namespace

PlanStore::PlanStore(std::string device, const DeviceOptions& options, std::function<void()> enter)
    : device_(std::move(device)),
      options_(options),
      enter_(std::move(enter)),
      planner_(device_, {options.precision.value(), options.deterministic}),
      cache_(options.plan_cache),
      cores_(std::max(1u, std::thread::hardware_concurrency())) {
  const std::string problem = PlanCache::problem(options.plan_cache);
  if (!problem.empty()) say(problem, Remedy::another_plan_cache);
}

std::shared_ptr<BoundGraph> PlanStore::request(OperationGraph graph, std::vector<Binding> bindings,
                                               OwnKernel own) {
  Entry*& entry = by_signature_[graph.signature()];
  if (!entry) {
    const std::string name = graph.str();
    Entry& fresh =
        entries_.emplace_back(Entry{.graph = std::move(graph),
                                    .own = own,
                                    .row = {.operation = name, .realised_by = "not prepared", .notes = {}}});
    fresh.own.make = {};  // it is of this request alone
    // A thread a graph is cheap, but only as many work as there are cores.
    fresh.found = in_background([this, &graph = fresh.graph, &own = fresh.own] {
                    const CoreInUse core(cores_);
                    enter_();
                    return find(graph, own);
                  }).share();
    entry = &fresh;
  }
  const auto bound = std::make_shared<BoundGraph>(entry->row.operation, std::move(bindings));
  entry->users.push_back(bound);
  entry->is_used = true;
  requests_.push_back({*entry, bound, std::move(own)});
  return bound;
}

PlanStore::Found PlanStore::find(const OperationGraph& graph, const OwnKernel& own) const {
  Found found;
  if (own.only || (!own.preferred.empty() && !options_.autotune)) return found;
  std::optional<Plan> cached = cache_.find(key_of(graph.signature()));
  if (cached && own.run && cached->info.own_kernel == own.name) {
    found.from_cache = true;
    return found;
  }
  if (cached && cached->info.own_kernel.empty()) {
    // Of an installation that was changed by halves, say, and cuDNN may not load it: then another plan or an
    // own kernel can be had.
    try {
      found.plans.push_back(planner_.load(std::move(*cached)));
      found.from_cache = true;
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
      found.unloaded = error.what();  // it matters only where nothing else is left
    }
  }
  const std::vector<Candidate> candidates = ranked(found.plans, own);
  found.milliseconds =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (!options_.autotune && !found.plans.empty()) store(graph, candidates.front());
  return found;
}

void PlanStore::store(const OperationGraph& graph, const Candidate& candidate) const {
  if (const auto* loaded = std::get_if<LoadedPlan>(&candidate))
    return cache_.store(key_of(graph.signature()), loaded->plan);
  const auto& own = std::get<OwnKernel>(candidate);
  cache_.store(
      key_of(graph.signature()),
      {{.graph = graph.name(), .own_kernel = own.name, .workspace = own.workspace, .launches = own.launches},
       {}});
}

void PlanStore::choose(const Queue& queue) {
  for (std::size_t i = 0; i < requests_.size(); ++i) {  // making an own kernel may add a request
    const auto bound = requests_[i].bound.lock();
    if (!bound) continue;
    Entry& entry = requests_[i].entry;
    if (!entry.is_chosen) choose(entry, queue);
    const OwnKernel own = requests_[i].own;
    if (!entry.chosen && !own.name.empty()) {
      if (own.make) own.make();
      describe_own(own, "cuDNN has no plan", entry.row);
    }
    requests_[i].own.make = {};  // last: where making it throws, the next prepare() makes it
  }
  for (const Request& request : requests_) {
    if (!request.by_own_kernel || !request.entry.chosen) continue;
    describe_own(request.own, "cuDNN has a plan for one direction only", request.entry.row);
  }
}

void PlanStore::do_by_own_kernel(const BoundGraph& graph) {
  for (Request& request : requests_) {
    if (request.bound.lock().get() == &graph) request.by_own_kernel = true;
  }
}

const PlanStore::Found& PlanStore::found_for(const Entry& entry) {
  try {
    return entry.found.get();
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", entry.row.operation, error.what()));
  }
}

void PlanStore::choose(Entry& entry, const Queue& queue) {
  Found found = found_for(entry);
  if (!found.refused.empty()) {
    say(fmt::format("the plan for {} in {} cannot be loaded, so it is planned again: {}", entry.row.operation,
                    options_.plan_cache.string(), found.refused));
  }
  if (found.plans.empty() && !found.unloaded.empty()) plan_by_handle(queue.handle, entry, found);
  // A plan from the cache was chosen before: it is not ranked again.
  const bool is_decided = found.from_cache && !found.plans.empty();
  const std::vector<Candidate> candidates = ranked(found.plans, is_decided ? OwnKernel{} : entry.own);
  if (candidates.empty()) {
    entry.row.realised_by = "nothing";
  } else {
    Tuned tuned{.candidate = candidates.front()};
    if (options_.autotune && !found.from_cache) tuned = tune(entry, candidates, queue);
    // What was taken because cuDNN lacked a plan is not kept: it may have one the next time.
    const bool decided = candidates.size() == 1 || tuned.timed > 0;
    if (options_.autotune && !found.from_cache && !found.by_handle && !found.plans.empty() && decided) {
      store(entry.graph, tuned.candidate);
    }
    describe(entry, found, tuned);
    entry.chosen = std::move(tuned.candidate);
  }
  entry.found = {};
  entry.is_chosen = true;
}

void PlanStore::plan_by_handle(cudnnHandle_t handle, const Entry& entry, Found& found) const {
  const std::string& operation = entry.row.operation;
  try {
    // Tests without a GPU have no handle.
    std::optional<LoadedPlan> plan;
    if (handle) plan = planner_.plan_by(handle, entry.graph);
    if (plan) {
      found.plans.push_back(std::move(*plan));
      found.by_handle = true;
      return say(
          fmt::format("cuDNN does not load the plan that it made for {}, so the GPU's handle plans it: {}",
                      operation, found.unloaded));
    }
  } catch (const Error& error) {
    found.unloaded += fmt::format("; nor does the GPU's handle plan it: {}", error.what());
  }
  if (entry.own.name.empty()) throw Error(fmt::format("{}: {}", operation, found.unloaded));
  say(fmt::format("cuDNN does not load the plan that it made for {}, so an own kernel stands in: {}",
                  operation, found.unloaded));
}

void PlanStore::describe(Entry& entry, const Found& found, const Tuned& tuned) {
  const auto* loaded = std::get_if<LoadedPlan>(&tuned.candidate);
  const auto* own = std::get_if<OwnKernel>(&tuned.candidate);
  const bool is_preferred = own && !own->preferred.empty();
  std::string origin = found.from_cache            ? "from the cache"
                       : loaded && found.by_handle ? "planned by the handle"
                       : loaded || tuned.timed > 0 ? fmt::format("planned in {:.0f} ms", found.milliseconds)
                       : is_preferred              ? own->preferred
                       : found.plans.empty()       ? "cuDNN has no plan"
                                                   : "cuDNN has naive engines only";
  if (tuned.timed > 0) origin += fmt::format(", fastest of {}: {:.4f} ms", tuned.timed, tuned.milliseconds);
  if (loaded) return describe_plan(loaded->plan.info, origin, entry.row);
  describe_own(std::get<OwnKernel>(tuned.candidate), "deterministic, " + origin, entry.row);
}

Tuned PlanStore::tune(const Entry& entry, const std::vector<Candidate>& candidates,
                      const Queue& queue) const {
  Tuned tuned{.candidate = candidates.front()};
  const bool has_choice = candidates.size() > 1;
  try {
    if (has_choice) tuned = fastest(entry.graph, candidates, queue);
  } catch (const Error& error) {
    tuned.error = error.what();  // most likely no memory to time in: the training itself may still fit
  }
  if (has_choice && tuned.timed == 0) {
    say(fmt::format("no plan for {} could be timed, the first is taken: {}", entry.row.operation,
                    tuned.error));
  }
  return tuned;
}

std::int64_t PlanStore::largest_workspace() const {
  std::int64_t largest = 0;
  for (const Entry& entry : entries_) {
    if (entry.chosen) largest = std::max(largest, workspace_of(*entry.chosen));
  }
  return largest;
}

void PlanStore::bind(const Queue& queue, void* workspace) {
  for (const Request& request : requests_) {
    const auto bound = request.bound.lock();
    if (!bound) continue;
    if (request.entry.chosen && !request.by_own_kernel) {
      bound->make_executable(*request.entry.chosen, queue, workspace);
    } else {
      bound->make_unavailable(planner_.no_plan(request.entry.graph));
    }
  }
  requests_.clear();
}

std::vector<PlanRow> PlanStore::rows() const {
  std::vector<PlanRow> rows;
  for (const Entry& entry : entries_) {
    if (entry.is_used) rows.push_back(entry.row);
  }
  return rows;
}

void PlanStore::leave_out_unused() {
  const auto expired = [](const std::weak_ptr<BoundGraph>& user) { return user.expired(); };
  for (Entry& entry : entries_) {
    std::erase_if(entry.users, expired);
    entry.is_used = !entry.users.empty();
  }
}

std::optional<std::string> PlanStore::fastest_way(const std::string& operation) const {
  if (const auto known = fastest_ways_.find(operation); known != fastest_ways_.end()) return known->second;
  const std::optional<Plan> kept = cache_.find(key_of(operation));
  if (!kept || kept->info.own_kernel.empty()) return std::nullopt;
  return kept->info.own_kernel;
}

void PlanStore::keep_fastest_way(const std::string& operation, const std::string& way) {
  fastest_ways_[operation] = way;
  cache_.store(key_of(operation), {{.graph = operation, .own_kernel = way}, {}});
}

PlanKey PlanStore::key_of(const std::string& signature) const {
  return {cudnnGetVersion(), device_, signature, planner_.policy(), options_.autotune};
}

void PlanStore::say(const std::string& line, Remedy remedy) const {
  if (options_.say) options_.say(line, remedy);
}

}  // namespace convoy::cuda
