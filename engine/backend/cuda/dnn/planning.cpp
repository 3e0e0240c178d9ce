#include "engine/backend/cuda/dnn/planning.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace convoy::cuda {
namespace {

constexpr std::size_t kCandidates = 8;  // that autotuning times; the heuristics rank the best ones first

// What kernels/batch_norm.h does where cuDNN lacks an engine without an error; null: nothing.
const char* own_kernel(const dnn::OperationGraph& graph) {
  const auto has = [&](dnn::Operator op) {
    return std::ranges::any_of(graph.nodes(), [&](const dnn::Node& node) { return node.op == op; });
  };
  using enum dnn::Operator;
  if (has(batch_norm_training) || has(batch_norm_backward)) return "own kernel: cuDNN has no engine for it";
  if (!has(convolve) || !(has(add) || has(relu))) return nullptr;
  return has(add) && has(relu) ? "own kernel: bias and ReLU, behind the convolution alone"
         : has(add)            ? "own kernel: bias, behind the convolution alone"
                               : "own kernel: ReLU, behind the convolution alone";
}

class CoreInUse {
 public:
  explicit CoreInUse(std::counting_semaphore<>& cores) : cores_(cores) { cores_.acquire(); }
  ~CoreInUse() { cores_.release(); }
  CoreInUse(const CoreInUse&) = delete;
  CoreInUse& operator=(const CoreInUse&) = delete;

 private:
  std::counting_semaphore<>& cores_;
};

}  // namespace

PlanRequest::PlanRequest(Planning& planning, dnn::OperationGraph graph)
    : planning_(planning),
      graph_(std::move(graph)),
      candidates_(std::async(std::launch::async, [this] { return find_candidates(); }).share()) {}

Candidates PlanRequest::find_candidates() const {
  CachedPlan cached = planning_.planner_.find(graph_);
  if (cached.plan) return {.plans = {std::move(*cached.plan)}};
  Candidates found = plan_candidates();
  found.refused = std::move(cached.refused);
  return found;
}

Candidates PlanRequest::plan_candidates() const {
  const CachedPlanner& planner = planning_.planner_;
  // A thread a graph is cheap, but not so many compilers at once.
  const CoreInUse core(planning_.cores_);
  const auto start = std::chrono::steady_clock::now();
  Candidates found;
  if (planning_.options_.autotune) {
    found.plans = planner.plans(graph_, kCandidates);
  } else if (auto plan = planner.try_plan(graph_)) {
    found.plans.push_back(std::move(*plan));
  }
  found.milliseconds =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return found;
}

const std::optional<dnn::Plan>& PlanRequest::get() {
  if (!decided_) decide(candidates_.get());
  return plan_;
}

void PlanRequest::decide(const Candidates& found) {
  milliseconds_ = found.milliseconds;
  if (!found.refused.empty()) {
    planning_.say(fmt::format("the plan for {} in {} cannot be loaded, so it is planned again: {}",
                              graph_.str(), planning_.options_.plan_cache.string(), found.refused));
  }
  if (!found.plans.empty()) {
    if (planning_.options_.autotune && !found.plans.front().info.from_cache) {
      tune(found.plans);
    } else {
      plan_ = found.plans.front();
    }
  }
  decided_ = true;
}

void PlanRequest::tune(const std::vector<dnn::Plan>& plans) {
  if (plans.size() == 1) {
    plan_ = plans.front();
    return planning_.planner_.store(graph_, *plan_);
  }
  Tuned tuned{.plan = plans.front()};
  try {
    tuned = planning_.autotuner_.fastest(graph_, plans);
  } catch (const Error& error) {
    tuned.error = error.what();  // most likely no memory to time in: the training itself may still fit
  }
  plan_ = std::move(tuned.plan);
  if (tuned.timed == 0) {
    return planning_.say(
        fmt::format("no plan for {} could be timed, the first is taken: {}", graph_.str(), tuned.error));
  }
  planning_.planner_.store(graph_, *plan_);
  tuned_ = fmt::format("fastest of {}: {:.4f} ms", tuned.timed, tuned.milliseconds);
}

std::string PlanRequest::no_plan() const { return planning_.planner_.no_plan(graph_); }

PlanRow PlanRequest::row() {
  if (!get()) {
    const char* own = own_kernel(graph_);
    return {.operation = graph_.str(),
            .realisation = own ? Realisation::own_kernel : Realisation::nothing,
            .realised_by = own ? own : "nothing",
            .notes = {},
            .workspace = 0};
  }
  const dnn::PlanInfo& info = plan_->info;
  std::vector<std::string> notes;
  if (info.tensor_core) notes.push_back("tensor cores");
  notes.push_back(info.deterministic ? "deterministic" : "not deterministic");
  if (info.runtime_compiled) notes.push_back("runtime compiled");
  notes.push_back(info.from_cache ? "from the cache" : fmt::format("planned in {:.0f} ms", milliseconds_));
  if (!tuned_.empty()) notes.push_back(tuned_);
  return {.operation = graph_.str(),
          .realisation = info.from_cache ? Realisation::from_cache : Realisation::planned,
          .realised_by = fmt::format("cuDNN engine {}", info.engine),
          .notes = fmt::format("{}", fmt::join(notes, ", ")),
          .workspace = info.workspace};
}

Planning::Planning(const CudaOptions& options, cudnnHandle_t handle, cudaStream_t stream)
    : options_(options),
      planner_(dnn::describe_device(handle), dnn::Policy{options.precision, options.deterministic},
               options.plan_cache, options.autotune),
      autotuner_(handle, stream),
      cores_(std::max(1u, std::thread::hardware_concurrency())) {
  const std::string problem = PlanCache::problem(options.plan_cache);
  if (!problem.empty()) say(problem);
}

void Planning::say(const std::string& line) const {
  if (options_.say) options_.say(line);
}

Planning::~Planning() {
  for (const auto& request : requests_) request->wait();  // they use the planner
}

std::shared_ptr<PlanRequest> Planning::request(dnn::OperationGraph graph) {
  std::shared_ptr<PlanRequest>& request = by_signature_[graph.signature()];
  if (!request) {
    request = std::make_shared<PlanRequest>(*this, std::move(graph));
    requests_.push_back(request);
  }
  return request;
}

std::int64_t Planning::largest_workspace() const {
  std::int64_t largest = 0;
  for (const auto& request : requests_) {
    try {
      if (const auto& plan = request->get()) largest = std::max(largest, plan->info.workspace);
    } catch (const Error&) {
      // Who asked for this graph hears of it, when it is executed.
    }
  }
  return largest;
}

std::vector<PlanRow> Planning::rows() const {
  std::vector<PlanRow> rows;
  for (const auto& request : requests_) rows.push_back(request->row());
  return rows;
}

}  // namespace convoy::cuda
