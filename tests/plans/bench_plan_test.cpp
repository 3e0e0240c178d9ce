// `convoy bench --plan`, with the real cuDNN and no driver but the program's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/builtin.h"
#include "convoy/model.h"
#include "tests/cli/program.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class BenchPlan : public testing::Test {
 protected:
  Outcome plan(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"bench", "--plan"});
    return run(arguments, {folder_.path(), {{"CONVOY_CACHE", "plans"}}});
  }

  TemporaryFolder folder_;
};

TEST_F(BenchPlan, HasAPlanForEveryPassOfTheConvNet) {
  const Outcome outcome = plan({"h100", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json event = json_lines(outcome.out).back();
  EXPECT_EQ(event["event"], "plan");
  EXPECT_EQ(event["described"], "h100");
  EXPECT_EQ(event["batch_size"], 100);
  std::int64_t launches = 0;
  std::int64_t flops = 0;
  double roofline = 0.0;
  for (const auto& pass : event["passes"]) {
    for (const auto& row : pass["plans"]) {
      EXPECT_THAT(row["realised_by"].get<std::string>(), testing::ContainsRegex("engine [0-9]+|own|cuBLASLt"))
          << pass;
    }
    launches += pass["launches"].get<std::int64_t>();
    flops += pass["flops"].get<std::int64_t>();
    roofline += pass["roofline_us"].get<double>();
  }
  EXPECT_EQ(event["launches"], launches);
  EXPECT_GE(launches, 17) << "batch, loss, optimizer; 7 operations each way, the input gradient less";
  EXPECT_DOUBLE_EQ(event["roofline_us"], roofline);
  std::int64_t summary = 0;
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  for (const LayerInfo& layer : infer(model, 100)) summary += layer.forward_flops + layer.backward_flops;
  EXPECT_EQ(flops, summary);
}

// Of the ConvNet's two blocks: norm and pool become one operation of two launches each way.
TEST_F(BenchPlan, FusesBatchNormReluAndMaxPoolIfToldTo) {
  const auto planned = [&](const char* fuse) {
    const Outcome outcome = plan({"h100", "--precision", "fp32", "--json", fuse});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json_lines(outcome.out).back();
  };
  const nlohmann::json layers = planned("--no-fuse"), fused = planned("--fuse");
  std::int64_t norms = 0, pools = 0;
  for (const auto& pass : fused["passes"]) {
    if (pass["type"] == "MaxPool2d") ++pools;
    if (pass["type"] != "BatchNorm2d+ReLU+MaxPool2d") continue;
    ++norms;
    ASSERT_EQ(pass["plans"].size(), 1u);
    EXPECT_THAT(pass["plans"][0]["operation"].get<std::string>(),
                testing::StartsWith(pass["pass"] == "forward" ? "batch_norm+relu+max_pool.training of ["
                                                              : "batch_norm+relu+max_pool.backward of ["));
    EXPECT_EQ(pass["plans"][0]["realised_by"], "own kernel");
    EXPECT_EQ(pass["launches"], 2);
  }
  EXPECT_EQ(norms, 4);
  EXPECT_EQ(pools, 0);
  EXPECT_EQ(fused["passes"].size(), layers["passes"].size() - 4);
  // A pool is a launch at least, and cuDNN's batch norm two.
  EXPECT_LE(fused["launches"].get<std::int64_t>(), layers["launches"].get<std::int64_t>() - 4);
  EXPECT_LT(fused["roofline_us"], layers["roofline_us"]);
}

TEST_F(BenchPlan, SaysThatItIsAnEstimate) {
  const Outcome outcome = plan({"h100", "--precision", "bf16", "--batch-size", "32"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("batch 32, bf16"), HasSubstr("nothing is executed"),
                                 HasSubstr("An estimate, a lower bound on paper"), HasSubstr("tensor cores"),
                                 HasSubstr("roofline us")));
}

TEST_F(BenchPlan, RefusesWhatCannotBePlanned) {
  const Outcome without_bf16 = plan({"t4", "--precision", "bf16"});
  EXPECT_EQ(without_bf16.code, 1);
  EXPECT_EQ(without_bf16.err, "convoy: error: t4 knows no tf32 and no bf16: take fp32\n");
  const Outcome unknown = plan({"gtx1080"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("gtx1080 not in {a100,b200,h100,rtx4090,t4}"));
  EXPECT_EQ(plan({"h100", "--steps", "3"}).code, 2) << "nothing is timed";
}

}  // namespace
}  // namespace convoy::test
