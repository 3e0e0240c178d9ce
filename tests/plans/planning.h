// Plans many graphs for a described GPU, and says what came of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/backend/cuda/dnn/planner.h"
#include "tests/plans/graph_collector.h"

namespace convoy::test {

/// The GPUs that tests/plans/devices/ describes.
std::vector<std::string> described_devices();

/// cuDNN's JSON description of one of them. Throws Error if it cannot be read.
std::string device_description(const std::string& device);

/// How activations are stored at that precision.
DType activation_type(Precision precision);

struct Planned {
  LayerGraph request;
  std::optional<cuda::dnn::Plan> plan;
  std::string error;          // what planning threw instead of an answer
  double milliseconds = 0.0;  // of one thread
};

/// What the heuristics rank first.
std::optional<cuda::dnn::Plan> first_plan(const cuda::dnn::Planner& planner,
                                          const cuda::dnn::OperationGraph& graph);

/// Plans on two threads; results are in the order of the graphs.
std::vector<Planned> plan_all(const cuda::dnn::Planner& planner, std::vector<LayerGraph> graphs);

/// The own kernel that does a graph's work where there is no plan, or (a weight gradient in strict fp32) a
/// naive one alone; "" if there is none.
std::string own_kernel(const cuda::dnn::OperationGraph& graph);

/// A table with a line a graph, under `title`.
void print_table(const std::string& title, const std::vector<Planned>& planned);

}  // namespace convoy::test
