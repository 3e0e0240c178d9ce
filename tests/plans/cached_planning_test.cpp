// A second start plans nothing: the ConvNet's plans for an H100, cold and warm.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>

#include "engine/backend/cuda/dnn/plan_cache.h"
#include "engine/model/builtin.h"
#include "tests/plans/planning.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

using cuda::dnn::OperationGraph;
using cuda::dnn::Policy;

class CachedPlanningTest : public testing::Test {
 protected:
  /// One start of the program, so to speak: plans all the graphs of the ConvNet at batch 100.
  std::vector<Planned> start(const char* title) {
    const cuda::CachedPlanner planner(device_description("h100"), Policy{}, folder_.path());
    auto graphs =
        training_graphs(builtin_model("convnet", {1, 28, 28}, 10), 100, DType::float32);
    const auto begin = std::chrono::steady_clock::now();
    const auto find_or_plan = [&](const OperationGraph& graph) {
      auto plan = planner.find(graph).plan;
      return plan ? plan : planner.try_plan(graph);
    };
    auto planned = plan_all(find_or_plan, std::move(graphs));
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
    fmt::print("{:<28} {:>3} graphs {:>3} planned {:>8.1f} ms\n", title, planned.size(),
               planned_anew(planned), elapsed.count());
    return planned;
  }

  static std::ptrdiff_t planned_anew(const std::vector<Planned>& planned) {
    return std::ranges::count_if(planned, [](const Planned& p) { return !p.plan.value().info.from_cache; });
  }

  TemporaryFolder folder_;
};

TEST_F(CachedPlanningTest, ASecondStartPlansNothingAndADamagedFileIsPlannedAgain) {
  const auto cold = start("cold");
  const auto warm = start("warm");
  ASSERT_EQ(planned_anew(cold), std::ssize(cold));
  EXPECT_EQ(folder_.files(), std::ssize(cold));
  ASSERT_EQ(planned_anew(warm), 0);
  for (std::size_t i = 0; i < cold.size(); ++i) {
    SCOPED_TRACE(cold[i].request.graph.str());
    EXPECT_EQ(warm[i].plan->json, cold[i].plan->json);
    EXPECT_EQ(warm[i].plan->info.engine, cold[i].plan->info.engine);
    EXPECT_EQ(warm[i].plan->info.workspace, cold[i].plan->info.workspace);
  }

  const auto damaged = std::filesystem::directory_iterator(folder_.path())->path();
  write_file(damaged, read_file(damaged).substr(0, 1000));
  EXPECT_EQ(planned_anew(start("warm, one file cut short")), 1);
  EXPECT_EQ(planned_anew(start("warm again")), 0);
}

// What a start does before it trusts a plan: cuDNN makes it again from its text.
TEST_F(CachedPlanningTest, CuDnnLoadsItsPlansAgainAndNoOtherDevicesDo) {
  const cuda::dnn::Planner h100(device_description("h100"), Policy{});
  const cuda::dnn::Planner t4(device_description("t4"), Policy{});
  for (const Planned& planned : start("to be loaded")) {
    SCOPED_TRACE(planned.request.graph.str());
    EXPECT_EQ(h100.refusal(*planned.plan), "");
    EXPECT_NE(t4.refusal(*planned.plan), "");
    cuda::dnn::Plan other = *planned.plan;
    other.info.workspace += 1;
    EXPECT_THAT(h100.refusal(other), testing::HasSubstr("its workspace is"));
  }
}

}  // namespace
}  // namespace convoy::test
