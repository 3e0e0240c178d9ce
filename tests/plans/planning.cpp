#include "tests/plans/planning.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "convoy/dtype.h"
#include "convoy/error.h"
#include "tests/temporary_folder.h"

namespace convoy::test {

std::vector<std::string> described_devices() {
  std::vector<std::string> devices;
  for (const auto& entry : std::filesystem::directory_iterator(CONVOY_DEVICES)) {
    devices.push_back(entry.path().stem().string());
  }
  std::ranges::sort(devices);
  return devices;
}

std::string device_description(const std::string& device) {
  const auto file = std::filesystem::path(CONVOY_DEVICES) / (device + ".json");
  std::string text = read_file(file);
  if (text.empty()) throw Error(fmt::format("{}: no device description", file.string()));
  return text;
}

DType activation_type(Precision precision) {
  return precision == Precision::bf16 ? DType::bfloat16 : DType::float32;
}

std::optional<cuda::dnn::Plan> first_plan(const cuda::dnn::Planner& planner,
                                          const cuda::dnn::OperationGraph& graph) {
  std::vector<cuda::dnn::Plan> plans = planner.plans(graph, 1);
  if (plans.empty()) return std::nullopt;
  return std::move(plans.front());
}

std::vector<Planned> plan_all(const cuda::dnn::Planner& planner, std::vector<LayerGraph> graphs) {
  std::vector<Planned> results;
  for (LayerGraph& graph : graphs) results.push_back({.request = std::move(graph)});
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < results.size(); i = next++) {
      const auto start = std::chrono::steady_clock::now();
      try {
        results[i].plan = first_plan(planner, results[i].request.graph);
      } catch (const std::exception& error) {
        results[i].error = error.what();
      }
      const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
      results[i].milliseconds = elapsed.count();
    }
  };
  {
    const std::jthread other(work);
    work();
  }
  return results;
}

std::string own_kernel(const cuda::dnn::OperationGraph& graph) {
  using cuda::dnn::Operator;
  const auto is_behind_a_convolution = [](const cuda::dnn::Node& node) {
    return node.op == Operator::add || node.op == Operator::relu;
  };
  const std::string& name = graph.name();
  const bool bias_or_relu =
      name.ends_with("fprop") && std::ranges::any_of(graph.nodes(), is_behind_a_convolution);
  if (name.starts_with("batch_norm") || bias_or_relu) return "kernels/batch_norm.h";
  if (name.starts_with("max_pool") || name.starts_with("avg_pool")) return "kernels/pooling.h";
  if (name != "conv2d.wgrad") return "";
  const cuda::dnn::Node& node = graph.nodes().front();
  const auto& x = graph.tensors().at(node.inputs.at(0).index);
  const auto& dweight = graph.tensors().at(node.outputs.at(0).index);
  const bool one_group = x.shape[1] == dweight.shape[1];
  return one_group && x.type == DType::float32 ? "kernels/conv_weight_gradient.h" : "";
}

namespace {

std::string notes_of(const cuda::dnn::PlanInfo& info) {
  std::string notes;
  if (info.naive) notes += " naive";
  if (info.tensor_core) notes += " tensor-core";
  if (!info.deterministic) notes += " nondeterministic";
  if (info.runtime_compiled) notes += " compiled";
  return notes.empty() ? "" : notes.substr(1);
}

}  // namespace

void print_table(const std::string& title, const std::vector<Planned>& planned) {
  fmt::print("\n{}\n{:<24} {:<72} {:<24} {:<20} {:>10} {:>8} {:>6}\n", title, "layer", "graph", "engine",
             "notes", "workspace", "launches", "ms");
  for (const Planned& p : planned) {
    const std::string answer = p.plan                                ? std::to_string(p.plan->info.engine)
                               : !p.error.empty()                    ? "error"
                               : own_kernel(p.request.graph).empty() ? "NONE"
                                                                     : own_kernel(p.request.graph);
    fmt::print("{:<24} {:<72} {:<24} {:<20} {:>10} {:>8} {:>6.0f}\n", p.request.layer, p.request.graph.str(),
               answer, p.plan ? notes_of(p.plan->info) : "",
               p.plan ? std::to_string(p.plan->info.workspace) : "",
               p.plan ? std::to_string(p.plan->info.launches) : "", p.milliseconds);
    if (!p.error.empty()) fmt::print("    {}\n", p.error);
  }
}

}  // namespace convoy::test
