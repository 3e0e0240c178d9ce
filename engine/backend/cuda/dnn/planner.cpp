// The policy here decides what a plan may be: with it changes kPlanningVersion (planner.h).
#include "engine/backend/cuda/dnn/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/backend/cuda/dnn/engine_facts.h"
#include "engine/backend/cuda/dnn/libraries.h"
#include "engine/backend/cuda/dnn/lower.h"

namespace convoy::cuda::dnn {
namespace {

std::string describe(const Policy& policy) {
  const char* precision = policy.precision == Precision::fp32   ? "fp32"
                          : policy.precision == Precision::tf32 ? "tf32"
                                                                : "bf16";
  return fmt::format("{}{}, workspace up to {} bytes", precision,
                     policy.deterministic ? ", deterministic" : "", policy.workspace_limit);
}

// What strict fp32 excludes: engines that round inputs or partial sums, and transforms that lose bits.
bool is_inexact(cudnnBackendNumericalNote_t note) {
  switch (note) {
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
    case CUDNN_NUMERICAL_NOTE_FFT:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
      return true;
    default:
      return false;
  }
}

// Only products can lose precision: cuDNN's pooling engines carry the tensor-core note too, and round
// nothing.
bool multiplies(const OperationGraph& graph) {
  return std::ranges::any_of(graph.nodes(), [](const Node& node) {
    return node.op == Operator::convolve || node.op == Operator::convolve_backward_data ||
           node.op == Operator::convolve_backward_weight;
  });
}

// Tensor cores are worth it.
bool copies_activations(const LoadedPlan& loaded, const OperationGraph& graph) {
  const PlanInfo& info = loaded.plan.info;
  return !info.tensor_core && transposed_tensors(graph, info.workspace) > 1;
}

template <typename T>
bool contains(const std::vector<T>& values, T value) {
  return std::ranges::find(values, value) != values.end();
}

}  // namespace

std::string describe_device(cudnnHandle_t handle) {
  Descriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  return properties.set(CUDNN_ATTR_DEVICEPROP_HANDLE, handle)
      .finalize()
      .get_text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
}

Planner::Planner(const std::string& device, Policy policy)
    : properties_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR), device_name_("this GPU"), policy_(policy) {
  properties_.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, std::span<const char>(device)).finalize();
  const auto description = nlohmann::json::parse(device, nullptr, /*allow_exceptions=*/false);
  const auto name = description.find("deviceName");
  if (name != description.end() && name->is_string()) device_name_ = *name;
  const auto version = description.find("deviceVer");  // 750 is sm_75
  if (version == description.end() || !version->is_number_integer()) return;
  const int architecture = version->get<int>() / 10;
  if (policy.precision == Precision::bf16 && architecture < kAmpere) {
    throw Error(fmt::format("bf16 needs a GPU of sm_{} (Ampere) or newer, {} is sm_{}: take fp32", kAmpere,
                            device_name_, architecture));
  }
}

std::vector<Descriptor> Planner::configurations(const Descriptor& lowered, cudnnBackendHeurMode_t mode,
                                                cudnnHandle_t handle) const {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, lowered).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (!handle) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties_);
  try {
    heuristics.finalize();
  } catch (const CudnnError& error) {
    if (error.status() / 1000 == CUDNN_STATUS_NOT_SUPPORTED / 1000) return {};  // no engine in this mode
    throw;
  }
  const std::int64_t count = heuristics.count(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR);
  return heuristics.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count);
}

std::optional<Planner::Proposal> Planner::propose(const Descriptor& configuration,
                                                  const OperationGraph& graph) const {
  const Descriptor engine =
      configuration.get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1).at(0);
  const auto numerical = engine.get_all<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                                     CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  const auto behavior = engine.get_all<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                                                   CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
  PlanInfo info{
      .graph = graph.name(),
      .engine = engine.get<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX),
      .tensor_core = contains(numerical, CUDNN_NUMERICAL_NOTE_TENSOR_CORE),
      .deterministic = !contains(numerical, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC),
      .runtime_compiled = contains(behavior, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION),
  };
  info.naive = is_naive(graph, info.engine);
  if (policy_.deterministic && !info.deterministic) return std::nullopt;
  if (policy_.precision == Precision::fp32 && multiplies(graph) &&
      (is_winograd(graph, info.engine) || std::ranges::any_of(numerical, is_inexact))) {
    return std::nullopt;
  }
  return Proposal{configuration, std::move(info)};
}

std::vector<Planner::Proposal> Planner::proposals(const OperationGraph& graph, const Descriptor& lowered,
                                                  cudnnBackendHeurMode_t mode, cudnnHandle_t handle) const {
  std::vector<Proposal> proposals;
  for (const Descriptor& configuration : configurations(lowered, mode, handle)) {
    if (auto proposal = propose(configuration, graph)) proposals.push_back(std::move(*proposal));
  }
  return proposals;
}

std::optional<LoadedPlan> Planner::finish(const Proposal& proposal, const OperationGraph& graph,
                                          cudnnHandle_t handle) const {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, proposal.configuration);
  if (handle) {
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle);
  } else {
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties_);
  }
  try {
    plan.finalize();
  } catch (const CudnnError&) {
    return std::nullopt;  // heuristics propose, finalisation decides: the next one is tried
  }
  Plan result{proposal.info, {}};
  result.info.workspace = plan.get<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  if (result.info.workspace > policy_.workspace_limit) return std::nullopt;
  result.json = plan.get_text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
  result.info.launches = launches_of(graph, result.info.workspace, result.json);
  return LoadedPlan{std::move(result), std::move(plan)};
}

std::vector<LoadedPlan> Planner::find(const OperationGraph& graph, std::size_t limit,
                                      cudnnHandle_t handle) const {
  const Descriptor lowered = lower(graph, handle);
  std::vector<LoadedPlan> best, copying, last;
  std::set<std::string> known;  // the fallback proposes what the better mode proposed, too
  const auto add = [&](const Proposal& proposal) {
    auto plan = finish(proposal, graph, handle);
    if (!plan || !known.insert(plan->plan.json).second) return;
    const bool copies = copies_activations(*plan, graph);
    (proposal.info.naive ? last : copies ? copying : best).push_back(std::move(*plan));
  };
  std::vector<Proposal> naive;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    if (best.size() >= limit) break;
    for (Proposal& proposal : proposals(graph, lowered, mode, handle)) {
      if (proposal.info.naive) {
        naive.push_back(std::move(proposal));
      } else if (best.size() < limit) {
        add(proposal);
      }
    }
  }
  for (const Proposal& proposal : naive) {
    if (best.size() + copying.size() + last.size() < limit) add(proposal);
  }
  for (std::vector<LoadedPlan>* worse : {&copying, &last}) {
    for (LoadedPlan& plan : *worse) {
      if (best.size() < limit) best.push_back(std::move(plan));
    }
  }
  return best;
}

std::vector<Plan> Planner::plans(const OperationGraph& graph, std::size_t limit) const {
  load_nvrtc();  // before cuDNN looks for it
  std::vector<Plan> plans;
  for (LoadedPlan& found : find(graph, limit, nullptr)) plans.push_back(std::move(found.plan));
  return plans;
}

std::optional<LoadedPlan> Planner::plan_by(cudnnHandle_t handle, const OperationGraph& graph) const {
  std::vector<LoadedPlan> found = find(graph, 1, handle);
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

LoadedPlan Planner::load(Plan plan) const {
  Descriptor loaded(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  // In the order of NVIDIA's front end: the text first.
  loaded.set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, std::span<const char>(plan.json))
      .set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties_)
      .finalize();
  const auto workspace = loaded.get<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  if (workspace != plan.info.workspace) {  // an engine would write behind one that is too small
    throw Error(fmt::format("its workspace is {} bytes and not {}", workspace, plan.info.workspace));
  }
  return {std::move(plan), std::move(loaded)};
}

std::string Planner::no_plan(const OperationGraph& graph) const {
  const std::string nvrtc = load_nvrtc();
  return fmt::format("cuDNN has no plan for {} on {} ({}), and no own kernel stands in{}{}", graph.str(),
                     device_name_, describe(policy_), nvrtc.empty() ? "" : ": ", nvrtc);
}

}  // namespace convoy::cuda::dnn
