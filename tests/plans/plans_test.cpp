// cuDNN's own opinion: does it plan every graph of every built-in model, and as the policy asks?
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <set>

#include "convoy/builtin.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/dnn/engine_facts.h"
#include "engine/backend/cuda/layers/operation_graphs.h"
#include "tests/plans/planning.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

using cuda::dnn::OperationGraph;
using cuda::dnn::Planner;
using cuda::dnn::Policy;

constexpr std::int64_t kBatch = 100;
constexpr std::int64_t kRaggedBatch = 37;
constexpr std::size_t kEveryPlan = 1000;

bool plan_everything() {
  const char* all = std::getenv("CONVOY_PLANS_ALL");
  return all && std::string(all) == "1";
}

bool is_convolution(const OperationGraph& graph) { return graph.name().starts_with("conv2d"); }

/// The distinct graphs of several models at some batch sizes, of training and of inference.
std::vector<LayerGraph> graphs_of(const std::vector<Model>& models, const std::vector<std::int64_t>& batches,
                                  Precision precision) {
  std::vector<LayerGraph> result;
  std::set<std::string> seen;
  for (const Model& model : models) {
    for (const std::int64_t batch : batches) {
      for (auto* graphs : {&training_graphs, &inference_graphs}) {
        for (LayerGraph& graph : graphs(model, batch, activation_type(precision))) {
          if (!seen.insert(graph.graph.signature()).second) continue;
          graph.layer = model.name + " " + graph.layer;
          result.push_back(std::move(graph));
        }
      }
    }
  }
  return result;
}

void expect_as_the_policy_says(const Planned& planned, const Policy& policy) {
  SCOPED_TRACE(planned.request.layer + ", " + planned.request.graph.str());
  EXPECT_EQ(planned.error, "");
  if (!planned.plan) {
    EXPECT_NE(own_kernel(planned.request.graph), "") << "neither a plan nor an own kernel";
    return;
  }
  const cuda::dnn::PlanInfo& info = planned.plan->info;
  EXPECT_EQ(info.graph, planned.request.graph.name());
  EXPECT_FALSE(planned.plan->json.empty());
  EXPECT_TRUE(info.deterministic || !policy.deterministic);
  EXPECT_GE(info.workspace, 0);
  EXPECT_LE(info.workspace, policy.workspace_limit);
  if (policy.precision == Precision::fp32 && is_convolution(planned.request.graph)) {
    EXPECT_FALSE(info.tensor_core) << "would round to TF32";
  }
}

bool copies(const cuda::dnn::Plan& plan, const OperationGraph& graph) {
  return !plan.info.tensor_core && cuda::dnn::transposed_tensors(graph, plan.info.workspace) > 1;
}

/// Naive engines are taken only where there are no others, and copies only where nothing else does without.
void expect_no_better(const cuda::dnn::Plan& first, const Planner& planner, const OperationGraph& graph) {
  if (!first.info.naive && !copies(first, graph)) return;
  for (const cuda::dnn::Plan& plan : planner.plans(graph, kEveryPlan)) {
    EXPECT_TRUE(plan.info.naive || (!first.info.naive && copies(plan, graph)))
        << graph.str() << ": engine " << first.info.engine << " was put before " << plan.info.engine;
  }
}

// What the built-in models lack: odd channels, strides, dilations, groups, average pools.
const std::vector<std::pair<Conv2d, Shape>> kConvolutions = {
    {{.in_channels = 3, .out_channels = 5, .kernel_size = {3, 3}}, {7, 3, 11, 13}},
    {{.in_channels = 1, .out_channels = 1, .kernel_size = {3, 3}}, {3, 1, 9, 9}},
    {{.in_channels = 5, .out_channels = 7}, {4, 5, 6, 6}},
    {{.in_channels = 3, .out_channels = 64, .kernel_size = {7, 7}, .stride = {2, 2}, .padding = {3, 3}},
     {8, 3, 32, 32}},
    {{.in_channels = 6,
      .out_channels = 10,
      .kernel_size = {3, 2},
      .stride = {2, 1},
      .padding = {1, 0},
      .dilation = {1, 2}},
     {5, 6, 12, 9}},
    {{.in_channels = 16,
      .out_channels = 32,
      .kernel_size = {3, 3},
      .stride = {2, 2},
      .groups = 4,
      .bias = false},
     {4, 16, 14, 14}},
    {{.in_channels = 9, .out_channels = 6, .kernel_size = {3, 3}, .groups = 3}, {4, 9, 14, 14}},
    {{.in_channels = 16, .out_channels = 16, .kernel_size = {3, 3}, .groups = 16}, {4, 16, 14, 14}},
    // The outer windows see nothing but padding.
    {{.in_channels = 3, .out_channels = 5, .kernel_size = {3, 3}, .padding = {4, 4}}, {7, 3, 11, 13}},
    {{.in_channels = 8,
      .out_channels = 8,
      .kernel_size = {3, 3},
      .stride = {2, 2},
      .padding = {5, 9},
      .dilation = {2, 3}},
     {4, 8, 14, 14}},
};

const std::vector<MaxPool2d> kPools = {
    {.kernel_size = {2, 2}},
    {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}},
    {.kernel_size = {9, 11}},  // the whole plane, as GlobalAvgPool2d
};

constexpr const char* kAwkwardNorm = "batch norm";
constexpr const char* kBareConvolution = "conv2d";  // which what stands in for the next builds upon
constexpr const char* kAwkwardConvolution = "conv2d with more";

/// One layer at a time, at shapes chosen to be awkward.
std::vector<LayerGraph> awkward_graphs(Precision precision) {
  const auto type = activation_type(precision);
  std::vector<LayerGraph> graphs;
  for (const auto& [layer, x] : kConvolutions) {
    for (const bool bias : {false, true}) {
      Conv2d forward = layer;
      forward.bias = bias;
      graphs.push_back({kBareConvolution, cuda::conv2d_forward_graph(forward, false, x, type)});
      if (bias) graphs.back().layer = kAwkwardConvolution;
      graphs.push_back({kAwkwardConvolution, cuda::conv2d_forward_graph(forward, true, x, type)});
    }
    graphs.push_back({"conv2d", cuda::conv2d_backward_data_graph(layer, x, type)});
    graphs.push_back({"conv2d", cuda::conv2d_backward_weight_graph(layer, x, type)});
  }
  const Shape x{3, 5, 9, 11};
  const auto add_pool = [&](const auto& layer) {
    graphs.push_back({"pool", cuda::pool_forward_graph(layer, x, type)});
    graphs.push_back({"pool", cuda::pool_backward_graph(layer, x, type)});
  };
  for (const MaxPool2d& pool : kPools) {
    add_pool(pool);
    for (const bool count_include_pad : {true, false}) {
      add_pool(AvgPool2d{pool.kernel_size, pool.stride, pool.padding, count_include_pad});
    }
  }
  for (const std::int64_t channels : {1, 3, 4, 6, 8, 35}) {
    for (const bool relu : {false, true}) {
      graphs.push_back({kAwkwardNorm, cuda::batch_norm_training_graph({4, channels, 7, 7}, relu, type)});
      graphs.push_back({kAwkwardNorm, cuda::batch_norm_backward_graph({4, channels, 7, 7}, relu, type)});
    }
  }
  return graphs;
}

struct Target {
  std::string device;
  Precision precision;
};

void PrintTo(const Target& target, std::ostream* out) {
  *out << target.device << '_' << name_of(target.precision);
}

std::vector<Target> all_targets() {
  std::vector<Target> targets;
  for (const std::string& device : described_devices()) {
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      targets.push_back({device, precision});
    }
  }
  return targets;
}

class PlansTest : public testing::TestWithParam<Target> {
 protected:
  const std::string& device() const { return GetParam().device; }
  Precision precision() const { return GetParam().precision; }
  bool lacks_precision() const { return device() == "t4" && precision() == Precision::bf16; }

  void plan_and_check(std::vector<LayerGraph> graphs) {
    const Policy policy{.precision = precision()};
    const std::string description = device_description(device());
    if (lacks_precision()) {
      EXPECT_EQ(error_of([&] { Planner(description, policy); }),
                "bf16 needs a GPU of sm_80 (Ampere) or newer, Tesla T4 is sm_75: take fp32");
      return;
    }
    const std::vector<Planned> planned = plan_all(Planner(description, policy), std::move(graphs));
    print_table(fmt::format("{}, {}", device(), name_of(precision())), planned);
    for (const Planned& p : planned) {
      expect_as_the_policy_says(p, policy);
      if (p.plan) expect_no_better(*p.plan, Planner(description, policy), p.request.graph);
      const bool may_stand_in =
          device() == "t4" || p.request.layer == kAwkwardNorm || p.request.layer == kAwkwardConvolution;
      EXPECT_TRUE(p.plan || may_stand_in) << p.request.graph.str() << " lost its plan to the own kernel";
    }
  }
};

TEST_P(PlansTest, Convnet) {
  plan_and_check(graphs_of({builtin_model("convnet", {1, 28, 28}, 10)}, {kBatch, kRaggedBatch}, precision()));
}

TEST_P(PlansTest, OtherModelsAndAwkwardLayers) {
  const bool usual = device() == "h100" && precision() != Precision::tf32;
  if (!usual && !plan_everything())
    GTEST_SKIP() << "takes minutes: set CONVOY_PLANS_ALL=1 to plan these, too";
  std::vector<std::int64_t> batches = {kBatch};
  if (plan_everything()) batches.push_back(kRaggedBatch);
  std::vector<LayerGraph> graphs =
      graphs_of({builtin_model("lenet5", {1, 28, 28}, 10), builtin_model("vgg-small", {1, 28, 28}, 10),
                 builtin_model("resnet9", {3, 32, 32}, 10)},
                batches, precision());
  std::ranges::move(awkward_graphs(precision()), std::back_inserter(graphs));
  plan_and_check(std::move(graphs));
}

INSTANTIATE_TEST_SUITE_P(Devices, PlansTest, testing::ValuesIn(all_targets()),
                         [](const auto& test) { return testing::PrintToString(test.param); });

// cuDNN 9.19 fuses no bias into a bf16 convolution of such groups.
TEST(PlannerTest, SaysWhichGraphHasNoPlanWhereAndUnderWhichPolicy) {
  const Conv2d grouped{.in_channels = 9, .out_channels = 6, .kernel_size = {3, 3}, .groups = 3};
  const Planner planner(device_description("h100"), {.precision = Precision::bf16});
  const OperationGraph graph = cuda::conv2d_forward_graph(grouped, false, {4, 9, 14, 14}, DType::bfloat16);
  if (first_plan(planner, graph)) GTEST_SKIP() << "this cuDNN has a plan";
  EXPECT_EQ(planner.no_plan(graph),
            "cuDNN has no plan for conv2d.fprop of [4, 9, 14, 14] and [6, 3, 3, 3] on NVIDIA H100 80GB HBM3 "
            "(bf16, deterministic, workspace up to 268435456 bytes), and no own kernel stands in");
}

TEST(PlannerTest, ObeysItsWorkspaceLimit) {
  const Conv2d layer{.in_channels = 16, .out_channels = 32, .kernel_size = {5, 5}, .padding = {2, 2}};
  const OperationGraph graph = cuda::conv2d_backward_data_graph(layer, {100, 16, 14, 14}, DType::float32);
  const auto workspace = [&](std::int64_t limit) {
    const Planner planner(device_description("h100"), {.workspace_limit = limit});
    return first_plan(planner, graph).value().info.workspace;
  };
  const std::int64_t free_choice = workspace(Policy{}.workspace_limit);
  ASSERT_GT(free_choice, 0) << "the graph shows nothing";
  EXPECT_LT(workspace(free_choice - 1), free_choice);
}

TEST(PlannerTest, RanksSeveralPlansForAutotuning) {
  const Conv2d layer{.in_channels = 16, .out_channels = 32, .kernel_size = {5, 5}, .padding = {2, 2}};
  const OperationGraph graph = cuda::conv2d_forward_graph(layer, false, {100, 16, 14, 14}, DType::float32);
  const Planner planner(device_description("h100"), Policy{});
  const auto plans = planner.plans(graph, 3);
  ASSERT_EQ(plans.size(), 3u);
  EXPECT_EQ(plans[0].json, first_plan(planner, graph).value().json);
  EXPECT_NE(plans[0].json, plans[1].json);
}

// The heuristics of 9.19 rank the grouped direct engine first here, and engines that copy before one that
// does not; the fallback proposes some plans twice.
TEST(PlannerTest, RanksCopyingPlansBehindOthersAndNaiveOnesLast) {
  const Conv2d layer{.in_channels = 16, .out_channels = 32, .kernel_size = {5, 5}, .padding = {2, 2}};
  const Shape x{100, 16, 14, 14};
  const Planner planner(device_description("h100"), Policy{});
  bool any_naive = false, any_copies = false;
  for (const OperationGraph& graph : {cuda::conv2d_forward_graph(layer, false, x, DType::float32),
                                      cuda::conv2d_backward_data_graph(layer, x, DType::float32),
                                      cuda::conv2d_backward_weight_graph(layer, x, DType::float32)}) {
    SCOPED_TRACE(graph.str());
    const auto plans = planner.plans(graph, kEveryPlan);
    std::set<std::string> texts;
    int last = 0;
    for (const cuda::dnn::Plan& plan : plans) {
      const int rank = plan.info.naive ? 2 : copies(plan, graph) ? 1 : 0;
      EXPECT_GE(rank, last) << "engine " << plan.info.engine;
      last = rank;
      any_naive |= plan.info.naive;
      any_copies |= rank == 1;
      texts.insert(plan.json);
    }
    EXPECT_EQ(texts.size(), plans.size()) << "a plan is there twice";
    for (const std::size_t limit : {1u, 2u, 3u}) {
      const auto few = planner.plans(graph, limit);
      ASSERT_EQ(few.size(), limit);
      for (std::size_t i = 0; i < limit; ++i) EXPECT_EQ(few[i].json, plans[i].json);
    }
  }
  EXPECT_TRUE(any_naive && any_copies) << "the graphs show nothing";
}

TEST(PlannerTest, RefusesWhatIsNoDescription) {
  for (const std::string text : {"", "{}", "null", "[", "{\"deviceVer\": 900}"}) {
    EXPECT_THROW(Planner(text, Policy{}), cuda::dnn::CudnnError) << text;
  }
}

TEST(PlannerTest, HereTheDriverReportsNoGpu) {
  EXPECT_EQ(cuda_backend_missing(),
            "the NVIDIA driver reports no GPU: see nvidia-smi and CUDA_VISIBLE_DEVICES");
  EXPECT_EQ(error_of([] { make_cuda_backend({}); }), cuda_backend_missing());
}

}  // namespace
}  // namespace convoy::test
