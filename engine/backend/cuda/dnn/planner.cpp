// The policy here decides what a plan may be: with it changes kPlanningVersion (planner.h).
#include "engine/backend/cuda/dnn/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/backend/cuda/dnn/engine_facts.h"
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

template <typename T, typename Value, typename Projection = std::identity>
bool contains(const std::vector<T>& values, const Value& value, Projection projection = {}) {
  return std::ranges::find(values, value, projection) != values.end();
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

std::vector<Descriptor> Planner::configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode) const {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, mode)
      .set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties_);
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
      std::ranges::any_of(numerical, is_inexact)) {
    return std::nullopt;
  }
  return Proposal{configuration, std::move(info)};
}

std::optional<Plan> Planner::finish(const Proposal& proposal, const OperationGraph& graph) const {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, proposal.configuration)
      .set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties_);
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
  return result;
}

std::vector<Plan> Planner::plans(const OperationGraph& graph, std::size_t limit) const {
  const Descriptor lowered = lower(graph);
  std::vector<Plan> plans;
  const auto add = [&](const Proposal& proposal) {
    if (plans.size() >= limit) return;
    auto plan = finish(proposal, graph);
    // The fallback proposes what the better mode proposed, too.
    if (plan && !contains(plans, plan->json, &Plan::json)) plans.push_back(std::move(*plan));
  };
  std::vector<Proposal> naive;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    if (plans.size() >= limit) break;
    for (const Descriptor& configuration : configurations(lowered, mode)) {
      auto proposal = propose(configuration, graph);
      if (!proposal) continue;
      proposal->info.naive ? naive.push_back(std::move(*proposal)) : add(*proposal);
    }
  }
  for (const Proposal& proposal : naive) add(proposal);
  return plans;
}

LoadedPlan Planner::load(Plan plan) const {
  Descriptor loaded(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  loaded.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties_)
      .set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, std::span<const char>(plan.json))
      .finalize();
  const auto workspace = loaded.get<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  if (workspace != plan.info.workspace) {  // an engine would write behind one that is too small
    throw Error(fmt::format("its workspace is {} bytes and not {}", workspace, plan.info.workspace));
  }
  return {std::move(plan), std::move(loaded)};
}

std::string Planner::no_plan(const OperationGraph& graph) const {
  return fmt::format("cuDNN has no plan for {} on {} ({}), and no own kernel stands in", graph.str(),
                     device_name_, describe(policy_));
}

}  // namespace convoy::cuda::dnn
