// A second start plans nothing: the ConvNet's plans for an H100, cold and warm.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "convoy/builtin.h"
#include "engine/backend/cuda/runtime/plan_store.h"
#include "tests/plans/planning.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

using cuda::PlanStore;
using cuda::dnn::BoundGraph;
using cuda::dnn::Policy;

std::vector<LayerGraph> convnet_graphs() {
  return training_graphs(builtin_model("convnet", {1, 28, 28}, 10), 100, DType::float32);
}

class CachedPlanningTest : public testing::Test {
 protected:
  /// One start of the program, so to speak: plans and loads all the graphs of the ConvNet at batch 100.
  std::vector<PlanRow> start(const char* title) {
    said_.clear();
    const auto begin = std::chrono::steady_clock::now();
    PlanStore store(device_description("h100"),
                    {.precision = Precision::fp32,
                     .plan_cache = folder_.path(),
                     .say = [&](const std::string& line, Remedy) { said_.push_back(line); }});
    std::vector<std::shared_ptr<BoundGraph>> bound;
    for (LayerGraph& graph : convnet_graphs()) bound.push_back(store.request(std::move(graph.graph), {}));
    store.choose({});  // no device: nothing is timed
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
    const auto rows = store.rows();
    fmt::print("{:<28} {:>3} graphs {:>3} planned {:>8.1f} ms\n", title, rows.size(), planned_anew(rows),
               elapsed.count());
    return rows;
  }

  static std::ptrdiff_t planned_anew(const std::vector<PlanRow>& rows) {
    return std::ranges::count(rows, Realisation::planned, &PlanRow::realisation);
  }

  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> contents;
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
      contents[file.path().filename()] = read_file(file.path());
    }
    return contents;
  }

  TemporaryFolder folder_;
  std::vector<std::string> said_;
};

TEST_F(CachedPlanningTest, ASecondStartPlansNothingAndADamagedFileIsPlannedAgain) {
  const auto cold = start("cold");
  const auto stored = files();
  const auto warm = start("warm");
  ASSERT_EQ(planned_anew(cold), std::ssize(cold));
  EXPECT_EQ(std::ssize(stored), std::ssize(cold));
  ASSERT_EQ(warm.size(), cold.size());
  for (std::size_t i = 0; i < cold.size(); ++i) {
    SCOPED_TRACE(cold[i].operation);
    EXPECT_EQ(warm[i].realisation, Realisation::from_cache);
    EXPECT_EQ(warm[i].operation, cold[i].operation);
    EXPECT_EQ(warm[i].realised_by, cold[i].realised_by);
    EXPECT_EQ(warm[i].workspace, cold[i].workspace);
  }
  EXPECT_EQ(files(), stored);

  const auto damaged = std::filesystem::directory_iterator(folder_.path())->path();
  write_file(damaged, read_file(damaged).substr(0, 1000));
  EXPECT_EQ(planned_anew(start("warm, one file cut short")), 1);
  EXPECT_EQ(planned_anew(start("warm again")), 0);
  EXPECT_THAT(said_, testing::IsEmpty());
}

// What a start does before it trusts a plan: cuDNN makes it again from its text.
TEST_F(CachedPlanningTest, CuDnnLoadsItsPlansAgainAndNoOtherDevicesDo) {
  const cuda::dnn::Planner h100(device_description("h100"), Policy{});
  const cuda::dnn::Planner t4(device_description("t4"), Policy{});
  for (const Planned& planned : plan_all(h100, convnet_graphs())) {
    SCOPED_TRACE(planned.request.graph.str());
    EXPECT_EQ(h100.load(*planned.plan).plan.json, planned.plan->json);
    EXPECT_THROW(t4.load(*planned.plan), cuda::dnn::CudnnError);
    cuda::dnn::Plan other = *planned.plan;
    other.info.workspace += 1;
    EXPECT_THAT([&] { h100.load(other); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("its workspace is")));
  }
}

}  // namespace
}  // namespace convoy::test
